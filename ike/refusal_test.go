package ike

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestRefusalString(t *testing.T) {
	for _, c := range []struct {
		why  *Refusal
		want string
	}{
		{nil, ""},
		{&Refusal{}, "failed"},
		{&Refusal{Cause: NoAnswer, Hint: "look"}, "the peer does not answer: look"},
		{&Refusal{Cause: Terminated, Err: "by command"}, "ended: by command"},
		{
			&Refusal{
				Cause: NoProposal, Offered: "aes128", Configured: "aes256, aes192", Nearest: "aes192",
				Differs: "encryption (aes128 / aes192)", Notify: "NO_PROPOSAL_CHOSEN", Hint: "make them agree",
			},
			"no proposal in common: the peer offered aes128; configured is aes256, aes192; nearest is aes192; " +
				"difference: encryption (aes128 / aes192); answered NO_PROPOSAL_CHOSEN; make them agree",
		},
		{
			&Refusal{Cause: NoProposal, ByPeer: true, Offered: "aes128", Configured: "aes256", Nearest: "aes256", Notify: "NO_PROPOSAL_CHOSEN"},
			"no proposal in common: we offered aes128; configured is aes256; the peer answered NO_PROPOSAL_CHOSEN",
		},
		{
			&Refusal{Cause: NoSelectors, Offered: "10.1.0.0/16 === 10.2.0.0/16", Differs: "x"},
			"no traffic selectors in common: the peer offered 10.1.0.0/16 === 10.2.0.0/16; difference: x",
		},
		{
			&Refusal{Cause: WrongKey, Offered: "not", Configured: "shown", Differs: "the pre-shared keys differ"},
			"authentication failed: the pre-shared keys differ",
		},
		{
			&Refusal{Cause: WrongKey, ByPeer: true, Notify: "AUTHENTICATION_FAILED"},
			"authentication failed: the peer does not accept our pre-shared key or our identity: the peer answered AUTHENTICATION_FAILED",
		},
		{&Refusal{Cause: NoConnection, Err: "a"}, "nothing configured fits: a"},
		{&Refusal{Cause: PeerRefused, ByPeer: true, Notify: "X"}, "refused by the peer: the peer answered X"},
		{&Refusal{Cause: BadMessage, Err: "short"}, "the peer's message breaks the protocol: short"},
		{&Refusal{Cause: Internal, Err: "full"}, "failed on this host: full"},
		{&Refusal{Cause: NoAnswer, Hint: "a\nb\x00\x1b[31m\u202e\xff"}, "the peer does not answer: a?b??[31m??"},
	} {
		if got := c.why.String(); got != c.want {
			t.Errorf("%q\nwant %q", got, c.want)
		}
	}
}

func FuzzRefusalString(f *testing.F) {
	f.Add(uint8(3), "offered", "configured", "hint")
	f.Add(uint8(5), "\x00\n", strings.Repeat("ä", 500), "\xff\xfe")
	f.Fuzz(func(t *testing.T, cause uint8, offered, configured, hint string) {
		r := &Refusal{
			Cause: Cause(cause), Offered: offered, Configured: configured, Nearest: offered + hint, Differs: hint,
			Err: configured, Notify: hint, Hint: offered, ByPeer: cause&1 == 0,
		}
		s := r.String()
		if len(s) > maxRefusal || s == "" || !utf8.ValidString(s) {
			t.Errorf("%d octets: %q", len(s), s)
		}
		for _, c := range s {
			if !unicode.IsPrint(c) {
				t.Errorf("%q is not printable", c)
			}
		}
	})
}
