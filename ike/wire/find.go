package wire

// Find returns the first payload of the type T.
func Find[T Payload](ps []Payload) (T, bool) {
	for _, p := range ps {
		if t, ok := p.(T); ok {
			return t, true
		}
	}
	var none T
	return none, false
}

// FindNotify returns the first notification of the type k, nil if there is none.
func FindNotify(ps []Payload, k NotifyType) *Notify {
	for _, p := range ps {
		if n, ok := p.(*Notify); ok && n.Kind == k {
			return n
		}
	}
	return nil
}

// FindID returns the first IDi, or IDr for a responder, nil if there is none.
func FindID(ps []Payload, responder bool) *ID {
	for _, p := range ps {
		if d, ok := p.(*ID); ok && d.Responder == responder {
			return d
		}
	}
	return nil
}

// FindTS returns the first TSi, or TSr for a responder, nil if there is none.
func FindTS(ps []Payload, responder bool) *TS {
	for _, p := range ps {
		if t, ok := p.(*TS); ok && t.Responder == responder {
			return t
		}
	}
	return nil
}
