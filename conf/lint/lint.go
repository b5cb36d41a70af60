// Package lint finds what is valid in a configuration and yet asks for trouble: weak or
// shared keys, tunnels that take each other's traffic, peers that cannot be told apart,
// settings by which a tunnel does not come back. conf.Validate has what is wrong, and
// what every load is to warn of.
package lint

import (
	"fmt"

	"github.com/goike/goike/conf"
)

// Check returns what there is to say, in no particular order. All findings are warnings:
// one line with what was found, why that matters, and what to do. None shows a secret.
func Check(c *conf.Config) []conf.Finding {
	l := &linter{conf: c}
	for i, conn := range c.Connections {
		at := conf.Place{Conn: i, Child: -1}
		l.key(at, conn)
		l.identities(at, conn)
		l.liveness(at, conn)
		l.lifetime(at, conn.Lifetime, "IKE SA")
		for j, child := range conn.Children {
			if !child.Mode.Shunt() {
				l.child(conf.Place{Conn: i, Child: j}, child)
			}
		}
	}
	l.sharedKeys()
	l.owners()
	l.shadows()
	l.overlaps()
	return l.found
}

type linter struct {
	conf  *conf.Config
	found []conf.Finding
}

func (l *linter) warn(at conf.Place, key, format string, args ...any) {
	at.Key = key
	l.found = append(l.found, conf.Finding{Place: at, Text: fmt.Sprintf(format, args...), Warning: true})
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
