package wire

import (
	"fmt"
	"strconv"
)

// summaryLen is about how many octets a Summary may have.
const summaryLen = 400

// Summary describes a message in one line for logs, such as
//
//	IKE_AUTH request 1 [ IDi AUTH SA TSi TSr N(INITIAL_CONTACT) ]
//
// What is too much for a line is counted. Nothing that a peer has written gets
// into it but numbers.
func Summary(h Header, ps []Payload) string {
	response := h.Flags&FlagResponse != 0
	kind := "request"
	if response {
		kind = "response"
	}
	b := fmt.Appendf(nil, "%s %s %d [", h.Exchange, kind, h.MessageID)
	for i, p := range ps {
		if len(b) > summaryLen {
			b = fmt.Appendf(b, " and %d more", len(ps)-i)
			break
		}
		b = append(append(b, ' '), word(p, response)...)
	}
	return string(append(b, " ]"...))
}

// word is a payload in a Summary.
func word(p Payload, response bool) string {
	switch p := p.(type) {
	case *Nonce:
		if response {
			return "Nr"
		}
		return "Ni"
	case *Notify:
		return "N(" + p.Kind.String() + ")"
	case *Delete:
		return deleteWord(p)
	case *CP:
		return "CP(" + p.Kind.String() + ")"
	case *SKF:
		return fmt.Sprintf("SKF(%d/%d)", p.Fragment, p.Total)
	}
	return p.Type().String()
}

func deleteWord(d *Delete) string {
	switch len(d.SPIs) {
	case 0, 1:
		return "D(" + d.Protocol.String() + ")"
	}
	return "D(" + d.Protocol.String() + " " + strconv.Itoa(len(d.SPIs)) + ")"
}
