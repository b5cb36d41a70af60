package conf

import (
	"slices"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// Secret is a pre-shared key and whom it is for: identities, perhaps with wildcards, of
// either side. Without owners it is for anyone.
type Secret struct {
	Name   string
	Owners []id.ID
	Key    crypto.Secret
}

// SharedKey returns the pre-shared key for a connection and the identities that the two
// sides have shown: that of the connection, or the one whose owners come nearest to the
// peer's identity and, where that decides nothing, to ours. Of equals the first one is
// taken.
func (c *Config) SharedKey(conn *Connection, local, remote id.ID) (crypto.Secret, bool) {
	if len(conn.PSK) > 0 {
		return conn.PSK, true
	}
	var best *Secret
	bestLocal, bestRemote := 0, 0
	for i := range c.Secrets {
		s := &c.Secrets[i]
		l, r := s.match(local), s.match(remote)
		if r > bestRemote || r == bestRemote && l > bestLocal {
			best, bestLocal, bestRemote = s, l, r
		}
	}
	if best == nil {
		return nil, false
	}
	return best.Key, true
}

// Keyless are the connections for which there is no key to authenticate with, as far as can
// be known before the peer has shown itself.
func (c *Config) Keyless() map[*Connection]bool {
	owners := make(map[id.ID]bool) // spares most connections the search
	for _, s := range c.Secrets {
		for _, owner := range s.Owners {
			owners[owner] = true
		}
	}
	out := make(map[*Connection]bool)
	for _, conn := range c.Connections {
		if len(conn.PSK) == 0 && !conn.OnlyShunts() && !owners[conn.Local.ID] && !owners[conn.Remote.ID] && !c.hasKey(conn) {
			out[conn] = true
		}
	}
	return out
}

func (c *Config) hasKey(conn *Connection) bool {
	if _, ok := c.SharedKey(conn, conn.Local.ID, conn.Remote.ID); ok {
		return true
	}
	fits := func(owner id.ID) bool { return conn.Remote.ID.Match(owner) > 0 } // a peer that may come
	return slices.ContainsFunc(c.Secrets, func(s Secret) bool { return len(s.Owners) == 0 || slices.ContainsFunc(s.Owners, fits) })
}

// match is how near the owners come to an identity, 0: not at all.
func (s *Secret) match(who id.ID) int {
	if len(s.Owners) == 0 {
		return id.ID{}.Match(who)
	}
	most := 0
	for _, owner := range s.Owners {
		most = max(most, owner.Match(who))
	}
	return most
}
