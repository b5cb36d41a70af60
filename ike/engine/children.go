package engine

import (
	"slices"

	"github.com/goike/goike/ike"
)

// learn keeps what a report tells about the machine.
func (s *Shard) learn(e *entry, r ike.Report) {
	if r.Conn != "" {
		e.conn = r.Conn
	}
	switch r.Kind {
	case ike.IKEUp:
		s.half.remove(e)
	case ike.IKERekeyed:
		if heir := s.byID[r.NewID]; heir != nil {
			s.inherit(e, heir)
		}
	case ike.ChildUp, ike.ChildRekeyed:
		s.addChildren(e, r.SA)
	case ike.ChildDown:
		s.removeChild(e, r)
	}
}

func (s *Shard) addChildren(e *entry, st *ike.Status) {
	if st == nil {
		return
	}
	for _, c := range st.Children {
		s.byReqID[c.ReqID] = e
		if !slices.Contains(e.reqIDs, c.ReqID) {
			e.reqIDs = append(e.reqIDs, c.ReqID)
		}
	}
}

// removeChild forgets the request ID of a child that is gone, unless another child
// of the machine has it, as after a rekeying.
func (s *Shard) removeChild(e *entry, r ike.Report) {
	if r.SA == nil || len(r.SA.Children) == 0 {
		return
	}
	reqID := r.SA.Children[0].ReqID
	for _, c := range e.machine.Status().Children {
		if c.ReqID == reqID && c.ID != r.ChildID {
			return
		}
	}
	e.reqIDs = slices.DeleteFunc(e.reqIDs, func(x uint32) bool { return x == reqID })
	if s.byReqID[reqID] == e {
		delete(s.byReqID, reqID)
	}
}

// inherit moves the children of a machine to the one that replaces it.
func (s *Shard) inherit(old, heir *entry) {
	for _, reqID := range old.reqIDs {
		s.byReqID[reqID] = heir
		if !slices.Contains(heir.reqIDs, reqID) {
			heir.reqIDs = append(heir.reqIDs, reqID)
		}
	}
	old.reqIDs = nil
}
