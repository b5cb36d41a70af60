package sim

import (
	"fmt"

	"github.com/goike/goike/ike"
)

// books are the IKE SAs and children that there are by the reports of a host, which are
// all that its steward, its log and its users learn of them. Of what was about to end when
// the process began nobody was told.
type books struct{ ikes, children, inherited map[uint64]bool }

func newBooks() books {
	return books{make(map[uint64]bool), make(map[uint64]bool), make(map[uint64]bool)}
}

// inherit enters what another process has left.
func (b *books) inherit(st ike.Status) {
	b.inherited[st.ID] = true
	for _, c := range st.Children {
		b.inherited[c.ID] = true
	}
}

// book enters a report. What comes up was not there, what goes was, and so was what is
// replaced.
func (h *Host) book(r ike.Report) {
	b := &h.books
	ok := true
	switch r.Kind {
	case ike.IKEUp:
		ok = !b.ikes[r.IKE]
		b.ikes[r.IKE] = true
	case ike.IKERekeyed:
		ok = (b.ikes[r.IKE] || b.inherited[r.IKE]) && !b.ikes[r.NewID]
		b.ikes[r.NewID] = true
	case ike.IKEDown:
		ok = b.ikes[r.IKE] || b.inherited[r.IKE]
		delete(b.ikes, r.IKE)
	case ike.ChildUp:
		ok = !b.children[r.ChildID]
		b.children[r.ChildID] = true
	case ike.ChildRekeyed:
		ok = (b.children[r.ChildID] || b.inherited[r.ChildID]) && !b.children[r.NewID]
		b.children[r.NewID] = true
	case ike.ChildDown:
		ok = b.children[r.ChildID] || b.inherited[r.ChildID]
		delete(b.children, r.ChildID)
	}
	if !ok {
		h.world.violated("%s reports what cannot be, of IKE SA %d, child %d: %s", h.Name, r.IKE, r.ChildID, r.Text)
	}
}

// balanced is nil when the books tell what there is.
func (h *Host) balanced() error {
	sts := h.Shard.Statuses()
	children := 0
	for _, st := range sts {
		children += len(st.Children)
	}
	if len(h.books.ikes) != len(sts) || len(h.books.children) != children {
		return fmt.Errorf("%s has %d IKE SAs and %d children, by its reports %d and %d", h.Name, len(sts), children, len(h.books.ikes), len(h.books.children))
	}
	if n := len(h.kept); h.world.Keep && n != len(sts) {
		return fmt.Errorf("%s has %d IKE SAs, and keeps the state of %d", h.Name, len(sts), n)
	}
	return nil
}
