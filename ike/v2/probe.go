package v2

import (
	"slices"

	"github.com/goike/goike/ike"
)

// probeFrom is which repetition of a request is sent by other paths, too, and probeBatch
// by how many of them at a time.
const (
	probeFrom  = 2
	probeBatch = 16
)

// probes tells whether this side looks for a path that works when the one in use is
// silent.
func (sa *SA) probes() bool {
	return sa.mobile.on && sa.mobile.decides && (sa.state == ike.Up || sa.state == ike.Rekeying)
}

// probe sends a request that is not answered by other paths, too (RFC 4555, 3.10). What
// there is of them may have changed, so that it is asked for anew.
func (sa *SA) probe(out *outgoing, fx *ike.Effects) {
	if sa.probes() {
		out.probed = true
		sa.askSources(fx)
	}
}

// tryOthers sends a request by those of the other paths whose turn it is.
func (sa *SA) tryOthers(out *outgoing, fx *ike.Effects) {
	sent := 0
	for ; out.next < len(sa.mobile.paths) && sent < probeBatch; out.next++ {
		if p := sa.mobile.paths[out.next]; p != sa.path {
			sendTo(p, out.packets, fx)
			out.strayed = true
			sent++
		}
	}
	if out.next >= len(sa.mobile.paths) {
		out.next, out.covered = 0, true
	}
	if sent == 0 && out.tries == besideFrom {
		sa.tryBeside(out, fx)
	}
}

// hasOthers tells whether there are paths that had no turn yet: the peer is not given up
// before.
func (sa *SA) hasOthers(out *outgoing) bool {
	most := sa.Config.Retransmit.Tries + maxPaths/probeBatch + 1
	return sa.probes() && !out.covered && out.tries < most
}

// answeredBy learns by which path an answer came. One that was tried while that in use
// was silent works, and is taken.
func (sa *SA) answeredBy(now ike.Instant, by ike.Path, out *outgoing, fx *ike.Effects) {
	if out.probed && sa.probes() && by != sa.path && slices.Contains(sa.mobile.paths, by) {
		sa.leaveFor(now, by, fx)
	}
}
