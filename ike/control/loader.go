package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goike/goike/crypto"
)

// Loader keeps what clients load beside what the configuration file says. All methods
// are safe for concurrent use; an error changes nothing.
type Loader interface {
	// Reload reads, validates and compares the configuration file and, unless dryRun,
	// puts it into force. One with errors changes nothing.
	Reload(ctx context.Context, dryRun bool) Reloaded
	// LoadConn loads a connection, or replaces one that was loaded before; settings are
	// those of swanctl.conf. One that reads as before is not touched.
	LoadConn(ctx context.Context, name string, settings *Message) error
	UnloadConn(ctx context.Context, name string) error
	LoadedConns(ctx context.Context) []string // by name, in the order in which they came
	// LoadShared loads a key, or replaces the one that has the same ID.
	LoadShared(ctx context.Context, k SharedKey) error
	UnloadShared(ctx context.Context, id string) error // of none is no error
	LoadedShared(ctx context.Context) []string         // IDs, without those of keys that have none
	// ClearCreds forgets all keys that were loaded.
	ClearCreds(ctx context.Context) error
}

// SharedKey is a key that a client has loaded, and whom it is for: without owners for
// anyone.
type SharedKey struct {
	ID     string
	Owners []string
	Data   crypto.Secret
}

// Unloaded is the error of an UnloadConn for what was not loaded, in strongSwan's words.
func Unloaded(name string) error { return fmt.Errorf("unload: connection '%s' not found", name) }

var errNoLoader = errors.New("this daemon takes no configuration from its clients")

// loading is a command that needs a Loader.
func loading(do func(context.Context, Loader, *Message) *Message) func(context.Context, *session, *Message) *Message {
	return func(ctx context.Context, s *session, args *Message) *Message {
		if s.server.opts.Loader == nil {
			return failure(errNoLoader)
		}
		return do(ctx, s.server.opts.Loader, args)
	}
}

// simply is the same for one without arguments, that has nothing to tell.
func simply(do func(Loader, context.Context) error) func(context.Context, *session, *Message) *Message {
	return loading(func(ctx context.Context, l Loader, _ *Message) *Message { return outcome(do(l, ctx)) })
}

// loadConn loads each section of the message; the first that cannot be loaded ends it.
func loadConn(ctx context.Context, l Loader, args *Message) *Message {
	for option := range args.Values() {
		return failure(fmt.Errorf("invalid section: %s", option))
	}
	for name, settings := range args.Sections() {
		if err := l.LoadConn(ctx, name, settings); err != nil {
			return failure(err)
		}
	}
	return success()
}

func unloadConn(ctx context.Context, l Loader, args *Message) *Message {
	if args.Get("name") == "" {
		return failure(errors.New("unload: missing connection name"))
	}
	return outcome(l.UnloadConn(ctx, args.Get("name")))
}

// listing answers with a list, which is empty without a Loader.
func listing(name string, list func(Loader, context.Context) []string) func(context.Context, *session, *Message) *Message {
	return func(ctx context.Context, s *session, _ *Message) *Message {
		m := &Message{}
		if l := s.server.opts.Loader; l != nil {
			m.SetList(name, list(l, ctx)...)
		} else {
			m.SetList(name)
		}
		return m
	}
}

// loadShared loads a pre-shared key of IKE, the only kind that goike authenticates by.
func loadShared(ctx context.Context, l Loader, args *Message) *Message {
	switch kind := strings.ToLower(args.Get("type")); {
	case kind == "":
		return failure(errors.New("shared key type missing"))
	case slices.Contains([]string{"eap", "xauth", "ntlm", "ppk"}, kind):
		return failure(fmt.Errorf("goike does not use shared keys of type %s: only those of type IKE", args.Get("type")))
	case kind != "ike":
		return failure(fmt.Errorf("invalid shared key type: %s", args.Get("type")))
	case args.Get("data") == "":
		return failure(errors.New("shared key data missing"))
	}
	k := SharedKey{ID: args.Get("id"), Data: crypto.Secret(args.Get("data"))}
	for _, owner := range args.List("owners") {
		if owner != "" {
			k.Owners = append(k.Owners, owner)
		}
	}
	return outcome(l.LoadShared(ctx, k))
}

func unloadShared(ctx context.Context, l Loader, args *Message) *Message {
	if args.Get("id") == "" {
		return failure(errors.New("unique identifier missing"))
	}
	return outcome(l.UnloadShared(ctx, args.Get("id")))
}
