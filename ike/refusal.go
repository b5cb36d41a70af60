package ike

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a Refusal says is bounded in octets: part of it comes from strangers.
const (
	maxRefusalPart = 300
	maxRefusal     = 1200
)

// String returns the reason in one line for the administrator: what happened,
// what was offered and what is configured, the one thing that differs, and what
// to do. It is bounded and holds printable characters only. A nil Refusal is "".
func (r *Refusal) String() string {
	if r == nil {
		return ""
	}
	var parts []string
	add := func(label, text string) {
		if text != "" {
			parts = append(parts, label+printable(text, maxRefusalPart))
		}
	}
	r.explain(add)
	add("", r.Err)
	if r.ByPeer {
		add("the peer answered ", r.Notify)
	} else {
		add("answered ", r.Notify)
	}
	add("", r.Hint)
	if len(parts) == 0 {
		return r.head()
	}
	return printable(r.head()+": "+strings.Join(parts, "; "), maxRefusal)
}

// explain says what was offered, what is configured and how they differ.
func (r *Refusal) explain(add func(label, text string)) {
	if r.Cause == WrongKey {
		add("", r.Differs)
		return
	}
	if r.ByPeer {
		add("we offered ", r.Offered)
	} else {
		add("the peer offered ", r.Offered)
	}
	add("configured is ", r.Configured)
	if r.Nearest != r.Configured {
		add("nearest is ", r.Nearest)
	}
	add("difference: ", r.Differs)
}

// head is the kind of failure in words.
func (r *Refusal) head() string {
	switch r.Cause {
	case NoAnswer:
		return "the peer does not answer"
	case NoConnection:
		return "nothing configured fits"
	case NoProposal:
		return "no proposal in common"
	case NoSelectors:
		return "no traffic selectors in common"
	case WrongKey:
		if r.ByPeer {
			return "authentication failed: the peer does not accept our pre-shared key or our identity"
		}
		return "authentication failed"
	case PeerRefused:
		return "refused by the peer"
	case BadMessage:
		return "the peer's message breaks the protocol"
	case Internal:
		return "failed on this host"
	case Terminated:
		return "ended"
	case Redirected:
		return "the peer sends us to the gateway " + printable(r.Gateway, maxRefusalPart)
	case NotResumed:
		return "not resumed"
	case Expired:
		return "its lifetime is over"
	case Unused:
		return "not in use"
	}
	return "failed"
}

// printable makes text safe for a line of a log, at most limit octets long.
func printable(text string, limit int) string {
	var b strings.Builder
	for _, c := range text {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			c = '?'
		}
		if b.Len()+utf8.RuneLen(c) > limit-len("...") && len(text) > limit {
			return b.String() + "..."
		}
		b.WriteRune(c)
	}
	return b.String()
}
