package message

// ParseState reads the body of NewSA and UpdSA, as answers, dumps and notices have it.
func ParseState(b []byte) (*State, error) { return nil, errNotYet }

// ParsePolicy reads the body of NewPolicy and UpdPolicy, likewise.
func ParsePolicy(b []byte) (*Policy, error) { return nil, errNotYet }

// ParseNotice reads a message of the kernel: *Acquire, *Expire, *Mapping, *Deleted,
// *Flushed, *State or *Policy. Of other types it returns nil without error.
func ParseNotice(t Type, b []byte) (any, error) { return nil, errNotYet }
