//go:build linux

package xfrm

import (
	"net/netip"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// maxQuestions bounds how many questions of packets are ended at a time.
const maxQuestions = 8

// endQuestions removes the larval SAs by which the kernel remembers that it has asked
// for an SA. With the SA it drops one, but CPUs that ask at the same moment make one
// each; the others would keep it from asking again, once the SA is gone, for as long
// as they last.
func (a *application) endQuestions() {
	for _, op := range a.ops {
		if add, ok := op.(esp.AddPolicy); ok {
			a.endQuestionsOf(&add.Policy)
		}
		add, ok := op.(esp.AddSA)
		if !ok || add.SA.Dir != esp.Out || add.SA.ID.Proto == esp.ProtoIPComp || !a.p.hasAsked(add.SA.ReqID) {
			continue
		}
		delete(a.p.asked, add.SA.ReqID)
		want := &message.State{
			ID: message.ID{Dst: add.SA.ID.Dst.Unmap(), Proto: uint8(add.SA.ID.Proto)}, Src: add.SA.Src.Unmap(),
			ReqID: add.SA.ReqID, Mark: markOf(add.SA.Mark), IfID: add.SA.IfID,
		}
		setMode(want, &add.SA)
		a.endQuestion(want, maxQuestions)
	}
}

// endQuestionsOf does the same for a trap that is installed again: what it has asked for
// does not come, and the next packet is to ask again.
func (a *application) endQuestionsOf(trap *esp.Policy) {
	if trap.Owner != 0 || trap.Dir != esp.Out || trap.Action != esp.Protect || !a.p.hasAsked(trap.ReqID) {
		return
	}
	of := a.p.asked[trap.ReqID]
	delete(a.p.asked, trap.ReqID)
	a.endQuestion(&message.State{
		ID: message.ID{Dst: of.dst, Proto: uint8(trap.Proto)}, Src: of.src,
		ReqID: trap.ReqID, Mode: kernelMode(trap.Mode), Mark: markOf(trap.Mark), IfID: trap.IfID,
	}, maxQuestions)
}

// ends are the outer addresses of an SA.
type ends struct{ src, dst netip.Addr }

func (p *Plane) hasAsked(reqID uint32) bool {
	_, ok := p.asked[reqID]
	return ok
}

// endQuestion lets the kernel give a larval SA an SPI: only by that can it be removed.
// Where there is none left the kernel makes one for it, which was asked for by nobody.
func (a *application) endQuestion(want *message.State, left int) {
	body, err := message.AppendAllocSPI(nil, want, firstSPI, lastSPI)
	a.ask(message.AllocSPI, body, err, func(r netlink.Reply) {
		if r.Err != nil {
			return
		}
		st, err := message.ParseState(r.Body)
		if err != nil {
			return
		}
		a.delSA(espID(st.ID), want.Mark, ignore)
		if st.Seq != 0 && left > 1 {
			a.endQuestion(want, left-1)
		}
	})
}
