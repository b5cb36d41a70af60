package crypto

import "strings"

// row describes one algorithm: everything the daemon knows about a transform
// short of its mathematics. A family of algorithms is one file with one table
// of rows, named in families.
type row struct {
	typ  Type
	id   uint16
	name string // strongSwan's constant, as its logs and VICI print it
	// word is how proposals name the algorithm; '#' stands for the key length in
	// bits. aliases are further spellings; one without '#' means bits[0].
	word    string
	aliases []string
	bits    []uint16 // key lengths that are negotiated; nil: no Key Length attribute
	key     int      // octets of key where bits is nil
	salt    int      // octets of KEYMAT behind the key (the implicit part of the nonce)
	// combined marks ciphers that authenticate by themselves (RFC 5282).
	combined bool
	impliesP uint16 // Integ: the PRF built on the same primitive, 0 if there is none
	weak     string // why it should not be used; empty: nothing known against it
	protos   []Proto
}

// families lists the tables; one more family of algorithms is one more name here.
var families = [][]row{
	aesRows, chachaRows, nullRows, hmacRows, aesMACRows, modpRows, ecpRows, montgomeryRows, esnRows,
}

var (
	forAll    = []Proto{IKE, AH, ESP}
	forIKEESP = []Proto{IKE, ESP}
	forIKE    = []Proto{IKE}
	forESP    = []Proto{ESP}
	forChild  = []Proto{AH, ESP}
)

type rowKey struct {
	typ Type
	id  uint16
}

var (
	rowOf  = indexRows()
	wordOf = indexWords()
)

func indexRows() map[rowKey]*row {
	m := make(map[rowKey]*row)
	for _, f := range families {
		for i := range f {
			m[rowKey{f[i].typ, f[i].id}] = &f[i]
		}
	}
	return m
}

func indexWords() map[string]Alg {
	m := make(map[string]Alg)
	for _, f := range families {
		for i := range f {
			f[i].addWords(m)
		}
	}
	return m
}

// addWords enters every spelling of the algorithm in m.
func (r *row) addWords(m map[string]Alg) {
	for _, w := range append([]string{r.word}, r.aliases...) {
		if r.bits == nil {
			m[w] = Alg{Type: r.typ, ID: r.id}
			continue
		}
		if !strings.Contains(w, "#") {
			m[w] = Alg{Type: r.typ, ID: r.id, KeyBits: r.bits[0]}
			continue
		}
		for _, b := range r.bits {
			m[withBits(w, b)] = Alg{Type: r.typ, ID: r.id, KeyBits: b}
		}
	}
}

func (r *row) takesBits(bits uint16) bool {
	if r.bits == nil {
		return bits == 0
	}
	for _, b := range r.bits {
		if b == bits {
			return true
		}
	}
	return false
}

func (r *row) serves(p Proto) bool {
	for _, x := range r.protos {
		if x == p {
			return true
		}
	}
	return false
}

// lookup finds the row of an algorithm, the key length included.
func lookup(a Alg) (*row, bool) {
	r, ok := rowOf[rowKey{a.Type, a.ID}]
	if !ok || !r.takesBits(a.KeyBits) {
		return nil, false
	}
	return r, true
}
