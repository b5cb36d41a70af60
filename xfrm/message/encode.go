package message

import "errors"

var errNotYet = errors.New("not yet")

// AppendState appends the body of NewSA, UpdSA.
func AppendState(b []byte, s *State) ([]byte, error) { return nil, errNotYet }

// AppendSAID appends the body of DelSA and GetSA. src is only needed for protocols
// without SPI; mark is that of the SA.
func AppendSAID(b []byte, id ID, mark *Mark) ([]byte, error) { return nil, errNotYet }

// AppendAllocSPI appends the body of AllocSPI: an SPI between first and last for an SA
// with the addresses, protocol, mode, request ID, mark and if_id of s.
func AppendAllocSPI(b []byte, s *State, first, last uint32) ([]byte, error) { return nil, errNotYet }

// AppendPolicy appends the body of NewPolicy and UpdPolicy.
func AppendPolicy(b []byte, p *Policy) ([]byte, error) { return nil, errNotYet }

// AppendPolicyID appends the body of DelPolicy and GetPolicy.
func AppendPolicyID(b []byte, id *PolicyID) ([]byte, error) { return nil, errNotYet }

// AppendDump appends the body of a dump (GetSA, GetPolicy with NLM_F_DUMP): proto
// limits one of SAs, 0: all.
func AppendDump(b []byte, t Type, proto uint8) []byte { return b }
