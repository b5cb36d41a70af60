package control

import (
	"time"

	"github.com/goike/goike/ike"
)

// Counts say how often things were reported since the daemon was started.
type Counts map[CountKey]uint64

// CountKey is what reports are told apart by when they are counted. Kind is Step only
// with a Mark.
type CountKey struct {
	Conn  string // empty while unknown
	Child bool   // a child SA, not the IKE SA
	Kind  ike.ReportKind
	Mark  ike.Mark
	Cause ike.Cause // 0: none
}

// Add counts a report, if it is one of those that are counted.
func (c Counts) Add(r ike.Report) {
	if r.Kind == ike.Warning || r.Kind == ike.Step && r.Mark == ike.Unmarked {
		return
	}
	key := CountKey{Conn: r.Conn, Child: r.Child != "", Kind: r.Kind, Mark: r.Mark}
	if r.Why != nil {
		key.Cause = r.Why.Cause
	}
	c[key]++
}

// Merge adds what others have counted.
func (c Counts) Merge(others Counts) {
	for key, n := range others {
		c[key] += n
	}
}

// Histogram says how long things took.
type Histogram struct {
	Bounds []time.Duration // upper ones, ascending
	Counts []uint64        // of what took as long as each bound at most, and longer than the one before; at last, of all that took longer
	Sum    time.Duration
}
