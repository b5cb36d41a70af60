package toml

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goike/goike/crypto"
)

// parseWord reads one algorithm of a proposal that is of the type wanted: as part
// of a proposal that is right but for it.
func parseWord(proto crypto.Proto, typ crypto.Type, word string) (crypto.Alg, error) {
	rest := map[crypto.Type]string{
		crypto.Encr:  "-sha256-prfsha256-modp2048",
		crypto.Integ: "-aes128-prfsha256-modp2048",
		crypto.KE:    "-aes128-sha256",
	}[typ]
	if proto == crypto.AH {
		rest = map[crypto.Type]string{crypto.KE: "-sha256"}[typ]
	}
	if strings.Contains(word, "-") {
		return crypto.Alg{}, errors.New("has a hyphen")
	}
	p, err := crypto.ParseProposal(proto, word+rest)
	var bad *crypto.WordError
	if errors.As(err, &bad) {
		// The list of what is known holds algorithms of every type.
		reason, _, _ := strings.Cut(bad.Reason, "; known for")
		return crypto.Alg{}, errors.New(reason)
	}
	if algs := p.Of(typ); err == nil && len(algs) == 1 {
		return algs[0], nil
	}
	return crypto.Alg{}, fmt.Errorf("is no %s algorithm for %s", typ, proto)
}
