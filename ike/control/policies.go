package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/goike/goike/conf"
)

var errNoName = errors.New("missing configuration name")

// install installs the policies of the child that `child` and perhaps `ike` name.
func install(ctx context.Context, s *session, args *Message) *Message {
	return s.policyCommand(args, func(conn, child string) error { return s.server.backend.Install(ctx, conn, child) })
}

// uninstall removes them.
func uninstall(ctx context.Context, s *session, args *Message) *Message {
	return s.policyCommand(args, func(conn, child string) error { return s.server.backend.Uninstall(ctx, conn, child) })
}

func (s *session) policyCommand(args *Message, do func(conn, child string) error) *Message {
	if args.Get("child") == "" {
		return failure(errNoName)
	}
	return outcome(do(args.Get("ike"), args.Get("child")))
}

// listPolicies streams the policies of the configuration as list-policy events: of the
// kinds that `trap`, `pass` and `drop` ask for.
func listPolicies(ctx context.Context, s *session, args *Message) *Message {
	for _, p := range s.server.backend.Policies(ctx) {
		if !isYes(args, policyKind(p.Mode)) || args.Has("child") && args.Get("child") != p.Child || args.Has("ike") && args.Get("ike") != p.Conn {
			continue
		}
		if err := stream(ctx, s, "list-policy", []Policy{p}, policyMessage); err != nil {
			return done(fmt.Errorf("policy %s/%s: %w", p.Conn, p.Child, err))
		}
	}
	return done(nil)
}

// policyKind is the argument that asks for policies of a mode.
func policyKind(m conf.Mode) string {
	switch m {
	case conf.Pass:
		return "pass"
	case conf.Drop:
		return "drop"
	}
	return "trap"
}

func policyMessage(list []Policy) *Message {
	m := &Message{}
	for _, p := range list {
		sec := m.AddSection(p.Conn + "/" + p.Child)
		sec.Set("child", p.Child)
		sec.Set("ike", p.Conn)
		sec.Set("mode", modeWord(p.Mode))
		sec.SetList("local-ts", selectors(p.Local)...)
		sec.SetList("remote-ts", selectors(p.Remote)...)
	}
	return m
}
