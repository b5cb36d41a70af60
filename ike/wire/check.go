package wire

import "fmt"

// Check tells whether a message has the shape of its kind: which payloads, and
// how many of each. ps are the payloads from inside the encrypted payload when
// protected is set, else those of the message itself.
//
// Order, notifications, vendor IDs and unknown payloads are free. The error is a
// *ProtocolError: UNSUPPORTED_CRITICAL_PAYLOAD with the type of an unknown payload
// that is critical (RFC 7296, 2.5), or INVALID_SYNTAX. On known payloads the
// critical bit says nothing.
//
// A message that passes has at most one payload of a type, but for CERT, CERTREQ,
// N, D, V and unknown ones. Nonces have a lawful length. SA, TSi and TSr come
// together, TSi and TSr not at all in the rekeying of an IKE SA. The SA of a
// response has one proposal. A response without that which was asked for has an
// error notification, COOKIE or REDIRECT in IKE_SA_INIT. In IKE_AUTH the initiator sends one
// of IDi, EAP and AUTH at least, or an error when it gives up; AUTH need not be beside an ID, and there need be
// no child.
func Check(x ExchangeType, response, protected bool, ps []Payload) error {
	if err := checkCritical(ps); err != nil {
		return err
	}
	forms, ok := rules[occasion{x, response, protected}]
	if !ok {
		return syntaxError("%s: no such message", describe(x, response, protected))
	}
	if why := formOf(forms, ps).mismatch(ps); why != "" {
		return syntaxError("%s: %s", describe(x, response, protected), why)
	}
	return nil
}

func describe(x ExchangeType, response, protected bool) string {
	s := x.String() + " request"
	if response {
		s = x.String() + " response"
	}
	if !protected {
		s = "unprotected " + s
	}
	return s
}

func checkCritical(ps []Payload) error {
	for _, p := range ps {
		if r, ok := p.(*Raw); ok && r.CriticalFlag {
			return &ProtocolError{
				Notify: NotifyUnsupportedCriticalPayload, Data: []byte{byte(r.Kind)},
				Reason: fmt.Sprintf("%s payload", r.Kind),
			}
		}
	}
	return nil
}

// formOf returns the form that a message is measured by: the last, when no other
// applies.
func formOf(forms []form, ps []Payload) *form {
	for i := range forms {
		if forms[i].key == NoNextPayload || count(ps, forms[i].key) > 0 {
			return &forms[i]
		}
	}
	return &forms[len(forms)-1]
}

func count(ps []Payload, t PayloadType) (n int) {
	for _, p := range ps {
		if p.Type() == t {
			n++
		}
	}
	return n
}

// mismatch tells what a message has that its form does not allow, or lacks.
func (f *form) mismatch(ps []Payload) string {
	for _, p := range ps {
		if !f.allows(p) {
			return fmt.Sprintf("unexpected %s payload", p.Type())
		}
	}
	for _, s := range f.body {
		switch n := count(ps, s.of); {
		case n < s.least:
			return fmt.Sprintf("no %s payload", s.of)
		case n > s.most:
			return fmt.Sprintf("%d %s payloads", n, s.of)
		}
	}
	for _, holds := range f.also {
		if why := holds(ps); why != "" {
			return why
		}
	}
	return ""
}

func (f *form) allows(p Payload) bool {
	switch p.(type) {
	case *Notify, *VendorID, *Raw:
		return true
	}
	for _, s := range f.body {
		if s.of == p.Type() {
			return true
		}
	}
	return false
}
