package control

import (
	"context"
	"errors"
	"fmt"
)

// What goike does not have is answered as by a daemon that holds none of it: nothing is
// listed, and nothing can be unloaded. Loading says what there is instead.

// refuse answers a command with strongSwan's text when an argument is missing that it
// needs, and with why otherwise.
func refuse(why string, needs ...need) func(context.Context, *session, *Message) *Message {
	return func(_ context.Context, _ *session, args *Message) *Message {
		for _, n := range needs {
			if args.Get(n.name) == "" {
				return failure(errors.New(n.missing))
			}
		}
		return failure(errors.New(why))
	}
}

// need is an argument that has to be there, and what is said when it is not.
type need struct{ name, missing string }

// refuseSections answers a command whose message has a section for each thing to load;
// none is a success.
func refuseSections(why string) func(context.Context, *session, *Message) *Message {
	return func(_ context.Context, _ *session, args *Message) *Message {
		for name := range args.Sections() {
			return failure(fmt.Errorf("%s: %s", name, why))
		}
		return success()
	}
}

// notThere answers the unloading of what cannot have been loaded, with its
// name between two texts.
func notThere(before, behind string, n need) func(context.Context, *session, *Message) *Message {
	return func(_ context.Context, _ *session, args *Message) *Message {
		if args.Get(n.name) == "" {
			return failure(errors.New(n.missing))
		}
		return failure(errors.New(before + args.Get(n.name) + behind))
	}
}

const (
	noCertificates = "goike does not authenticate by certificates and private keys: use auth = psk"
	noTokens       = "goike does not use private keys on tokens: use auth = psk"
	noAuthorities  = "goike does not use certification authorities: use auth = psk"
	noPools        = "goike does not assign addresses from pools"
)
