package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
)

// crossing is how long after an IKE SA has come up another one of the peer, that says
// INITIAL_CONTACT, may still be one that it began before: its first retransmission
// lies within it. Then it knows the other one, and is told; if not, nobody answers.
const crossing = 5 * time.Second

// keepUnique applies unique_ids to an IKE SA that has come up.
func (s *Steward) keepUnique(now ike.Instant, sa *phase1, contact bool) {
	others := slices.Clone(s.unique[sa.key])
	s.unique[sa.key] = append(s.unique[sa.key], sa)
	policy := s.uniqueIDs(sa)
	if policy == conf.UniqueNever {
		return
	}
	for _, other := range others {
		switch {
		case sa.ending || other.ending || other.leaving && !contact:
		case crossed(sa, other) && s.alone(sa, other):
			s.settleCrossing(sa, other)
		case policy == conf.UniqueNo && !contact:
		case policy == conf.UniqueKeep && !contact && (sa.peer != other.peer || !sa.peer.IsValid()):
			s.end(sa, ike.Terminate{Why: "an IKE SA of the same identities is there (unique_ids = \"keep\")"})
			return
		case !contact && sa.peer.IsValid() && sa.peer.Addr() == other.peer.Addr():
			s.partings.set(other, now.Add(overlap)) // it seems to authenticate again
		default:
			silent := contact && (other.initiator == sa.initiator || sa.established.Sub(other.established) > crossing)
			s.end(other, ike.Terminate{Silent: silent, Force: contact && !silent, Why: whyReplaced})
		}
	}
}

// uniqueIDs is what the connection of an IKE SA says, or the daemon.
func (s *Steward) uniqueIDs(sa *phase1) conf.UniqueIDs {
	if sa.link == nil {
		return s.conf.UniqueIDs
	}
	return s.conf.Unique(sa.link.conn)
}

// crossed tells whether both sides began at the same time: the later of two IKE SAs
// was under way when the other one came up. A peer that has restarted began later.
func crossed(later, other *phase1) bool {
	return later.initiator != other.initiator && later.begun < other.established
}

// alone tells whether only one of two IKE SAs that have crossed may stay: both sides
// know what each of them has said of INITIAL_CONTACT in its request.
func (s *Steward) alone(a, b *phase1) bool {
	switch s.uniqueIDs(a) {
	case conf.UniqueNever:
		return false
	case conf.UniqueNo:
		return a.contact || b.contact
	}
	return true
}

const whyCrossed = "both sides began at the same time, the other IKE SA is kept"

// settleCrossing keeps one of two IKE SAs that both sides began at the same time. The
// peer does the same, and may have done it already: its answer is not waited for.
func (s *Steward) settleCrossing(a, b *phase1) {
	loser, winner := a, b
	if a.prevails(b) {
		loser, winner = b, a
	}
	winner.stay()
	s.end(loser, ike.Terminate{Force: true, Why: whyCrossed})
}

// prevails tells whether sa stays, of two IKE SAs that both sides began: it is that of
// the side with the lower identity, on which both sides agree whatever they have seen
// of the other IKE SA; with equal ones, that with the lower initiator SPI.
func (sa *phase1) prevails(other *phase1) bool {
	if c := compareIDs(sa.key.local, sa.key.remote); c != 0 {
		return sa.initiator == (c < 0)
	}
	return sa.spiI < other.spiI
}

func compareIDs(a, b id.ID) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Data, b.Data))
}

// yield ends our own attempt when the IKE SA that the peer began is up, and would
// prevail over it: the peer does the same when it sees the attempt come up, unless
// unique_ids lets both be. The attempt has no keys yet to tell the peer of its end.
func (s *Steward) yield(sa *phase1) {
	own := s.sas[sa.link.attempt]
	if own == nil || !s.alone(own, sa) || own.up || sa.initiator || sa.ending || compareIDs(sa.key.local, sa.key.remote) <= 0 {
		return
	}
	s.end(own, ike.Terminate{Force: true, Why: whyCrossed})
}
