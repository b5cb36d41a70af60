package message

import "fmt"

// What is parsed does not alias the message. Keys are copied, so that it can be
// overwritten; State.Zero overwrites the copies. Attributes that are not known are
// skipped. Addresses that are not set are read as unspecified ones of their family.

// ParseState reads the body of NewSA and UpdSA, as answers, dumps and notices have it.
func ParseState(b []byte) (*State, error) {
	s, err := parseState(b)
	if err != nil {
		return nil, fmt.Errorf("XFRM message of an SA: %w", err)
	}
	return s, nil
}

func parseState(b []byte) (*State, error) {
	if err := atLeast(b, sizeState); err != nil {
		return nil, err
	}
	return readState(b[:sizeState], b[sizeState:])
}

// ParsePolicy reads the body of NewPolicy and UpdPolicy, likewise.
func ParsePolicy(b []byte) (*Policy, error) {
	p, err := parsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("XFRM message of a policy: %w", err)
	}
	return p, nil
}

func parsePolicy(b []byte) (*Policy, error) {
	if err := atLeast(b, sizePolicy); err != nil {
		return nil, err
	}
	return readPolicy(b[:sizePolicy], b[sizePolicy:])
}

// ParseNotice reads a message of the kernel: *Acquire, *Expire, *Mapping, *Deleted,
// *Flushed, *State or *Policy. Of other types it returns nil without error.
func ParseNotice(t Type, b []byte) (any, error) {
	switch t {
	case NewSA, UpdSA:
		return notice(t, b, parseState)
	case NewPolicy, UpdPolicy:
		return notice(t, b, parsePolicy)
	case AcquireMsg:
		return notice(t, b, parseAcquire)
	case ExpireMsg:
		return notice(t, b, parseExpire)
	case MappingMsg:
		return notice(t, b, parseMapping)
	case DelSA:
		return notice(t, b, parseDeletedState)
	case DelPolicy:
		return notice(t, b, parseDeletedPolicy)
	case FlushSA:
		return notice(t, b, parseFlushedStates)
	case FlushPolicy:
		return notice(t, b, parseFlushedPolicies)
	}
	return nil, nil
}

func notice[T any](t Type, b []byte, parse func([]byte) (*T, error)) (any, error) {
	v, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("XFRM message of type %#x: %w", uint16(t), err)
	}
	return v, nil
}
