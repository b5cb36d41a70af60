//go:build linux

package xfrm

import (
	"errors"
	"fmt"

	"github.com/goike/goike/esp"
)

var (
	errNotHeld    = errors.New("the kernel does not hold it")
	errOtherReqID = errors.New("the kernel holds it with another request ID")
)

// adoptSA takes over an SA that an earlier process has left, as it is: its keys, its
// sequence numbers and its replay window are the kernel's. Without it nothing of the
// child is installed.
func (a *application) adoptSA(sa esp.SA) {
	id := unmappedID(sa.ID)
	s := a.p.sas[id]
	err := errNotHeld
	switch {
	case s != nil && s.reqID == sa.ReqID:
		if s.leftover {
			s.leftover = false
			a.p.leftoverSAs--
		}
		s.dir = sa.Dir
		return
	case s != nil:
		err = errOtherReqID
	}
	a.failed[sa.ReqID] = true
	a.errs = append(a.errs, fmt.Errorf("%s%s cannot be taken over: %w", nameSA(id, sa.Src.String()), a.childOf(sa.ReqID), err))
}
