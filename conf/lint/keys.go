package lint

import (
	"crypto/sha256"
	"math"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// enoughBits is how hard a pre-shared key is to be to guess: IKEv2 lets whoever records a
// failed attempt try out keys at his leisure.
const enoughBits = 128

// bits is how many bits a key may have at most: text as if each character had been drawn
// from those of its kinds, other octets as if they were random.
func bits(key crypto.Secret) int {
	kinds := []struct {
		has func(byte) bool
		n   float64
	}{
		{func(b byte) bool { return '0' <= b && b <= '9' }, 10},
		{func(b byte) bool { return 'a' <= b && b <= 'z' }, 26},
		{func(b byte) bool { return 'A' <= b && b <= 'Z' }, 26},
		{func(b byte) bool { return ' ' <= b && b <= '~' }, 33},
	}
	var used [4]bool
	for _, b := range key {
		k := 0
		for k < len(kinds) && !kinds[k].has(b) {
			k++
		}
		if k == len(kinds) {
			return 8 * len(key)
		}
		used[k] = true
	}
	alphabet := 0.0
	for k, is := range used {
		if is {
			alphabet += kinds[k].n
		}
	}
	if alphabet == 0 {
		return 0
	}
	return int(math.Log2(alphabet) * float64(len(key)))
}

const longKey = 16 // octets; conf.Validate warns of shorter ones

func (l *linter) key(at conf.Place, c *conf.Connection) {
	if n := bits(c.PSK); len(c.PSK) >= longKey && n < enoughBits {
		l.warn(at, "pre_shared_key", "the pre-shared key of %s has %d bits at most, as text of its kind of characters: whoever records a failed attempt can try out keys; goikectl genpsk prints one of 256 bits", quoted(c.Name), n)
	}
	if len(c.PSK) > 0 && c.Gateways.Any() && c.Remote.ID.Kind == id.Any {
		l.warn(at, "peer_identifier", "%s takes any peer from anywhere that knows its key, under whatever name: when one peer loses the key, all have; set peer_identifier, or give each peer a connection or a [[secret]] of its own", quoted(c.Name))
	}
}

// sharedKeys finds keys that several peers have.
func (l *linter) sharedKeys() {
	first := make(map[[sha256.Size]byte]int)
	for i, c := range l.conf.Connections {
		if len(c.PSK) == 0 {
			continue
		}
		sum := sha256.Sum256(c.PSK)
		j, there := first[sum]
		if !there {
			first[sum] = i
			continue
		}
		if other := l.conf.Connections[j]; !samePeer(c, other) {
			l.warn(conf.Place{Conn: i, Child: -1}, "pre_shared_key", "the pre-shared key of %s is that of %s, too: either peer can pretend to be the other; give each its own", quoted(c.Name), quoted(other.Name))
		}
	}
}

func samePeer(a, b *conf.Connection) bool {
	return a.Remote.ID == b.Remote.ID && a.Gateways.String() == b.Gateways.String()
}

// owners finds keys by identity that serve nobody.
func (l *linter) owners() {
	for n, s := range l.conf.Secrets {
		if len(s.Owners) == 0 || l.serves(s) {
			continue
		}
		words := make([]string, len(s.Owners))
		for i, owner := range s.Owners {
			words[i] = owner.String()
		}
		l.warn(conf.Place{Conn: -1, Child: -1, Index: n}, "secret.owners", "the key for %s serves no connection: none without a key of its own has such an identity; check the spelling, or take it out", strings.Join(words, ", "))
	}
}

// serves tells whether a connection may use a key: one that has none of its own, for a
// peer who may be one of the owners.
func (l *linter) serves(s conf.Secret) bool {
	for _, c := range l.conf.Connections {
		if len(c.PSK) > 0 {
			continue
		}
		for _, owner := range s.Owners {
			if may(owner, c.Remote.ID) || may(owner, c.Local.ID) {
				return true
			}
		}
	}
	return false
}

// may tells whether two patterns may be for the same identity.
func may(a, b id.ID) bool {
	return b.Kind == id.Any || a.Match(b) > 0 || b.Match(a) > 0 || a.Kind == b.Kind && a.IsWildcard() && b.IsWildcard()
}
