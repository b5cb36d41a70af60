package ke

import (
	"io"

	"github.com/goike/goike/crypto"
)

// curveConstants are those of y^2 = x^3 + ax + b over a prime field, with a base
// point of prime order n and cofactor 1, in hexadecimal.
type curveConstants struct {
	id                 uint16
	p, a, b, gx, gy, n string
}

// weierstrass is Diffie-Hellman on such a curve, for the curves that crypto/ecdh
// lacks. Scalars are secret: no branch and no address depends on them.
type weierstrass struct {
	f       *field
	a, b    element
	b3      element // 3b
	g       point
	n       []byte
	scalars *field // modulo n, to compare with it
}

// point is a point in homogeneous coordinates: (X/Z, Y/Z), or infinity if Z = 0.
type point struct{ x, y, z element }

func newWeierstrass(c curveConstants) Method {
	f := newField(mustHex(c.p))
	w := &weierstrass{f: f, n: mustHex(c.n)}
	w.a, w.b = w.constant(c.a), w.constant(c.b)
	w.b3 = f.add(&w.b, &w.b)
	w.b3 = f.add(&w.b3, &w.b)
	w.g = point{w.constant(c.gx), w.constant(c.gy), f.one}
	w.scalars = newField(w.n)
	return &dh{id: c.id, publicLen: 2 * f.size, group: w}
}

func (w *weierstrass) constant(s string) element {
	e, ok := w.f.decode(mustHex(s))
	if !ok {
		panic("ke: bad constant: not below the prime")
	}
	return e
}

func (w *weierstrass) generate(rand io.Reader) (crypto.Secret, []byte, error) {
	private, err := draw(rand, len(w.n), 0xff, w.isScalar)
	if err != nil {
		return nil, nil, err
	}
	q := w.multiply(&w.g, private)
	x, y := w.affine(&q)
	return private, append(w.f.encode(&x), w.f.encode(&y)...), nil
}

// isScalar says whether 0 < b < n.
func (w *weierstrass) isScalar(b []byte) bool {
	e, below := w.scalars.decode(b)
	return below && !e.isZero()
}

func (w *weierstrass) agree(private crypto.Secret, peer []byte) ([]byte, error) {
	q, ok := w.decode(peer)
	if !ok {
		return nil, ErrPublic
	}
	r := w.multiply(&q, private)
	if r.z.isZero() {
		return nil, ErrPublic
	}
	x, _ := w.affine(&r)
	return w.f.encode(&x), nil
}

// decode reads x | y and checks that the point is on the curve (RFC 6989, 2.3).
// Since the cofactor is 1, it then has the right order.
func (w *weierstrass) decode(b []byte) (point, bool) {
	x, okX := w.f.decode(b[:w.f.size])
	y, okY := w.f.decode(b[w.f.size:])
	left := w.f.mul(&y, &y)
	right := w.f.mul(&x, &x)
	right = w.f.add(&right, &w.a)
	right = w.f.mul(&right, &x)
	right = w.f.add(&right, &w.b)
	return point{x, y, w.f.one}, okX && okY && left == right
}

func (w *weierstrass) affine(p *point) (x, y element) {
	z := w.f.invert(&p.z)
	return w.f.mul(&p.x, &z), w.f.mul(&p.y, &z)
}

// add is the complete addition law of Renes, Costello and Batina (2016,
// algorithm 1): it holds for equal points and for infinity as well.
func (w *weierstrass) add(p, q *point) point {
	f := w.f
	t0, t1, t2 := f.mul(&p.x, &q.x), f.mul(&p.y, &q.y), f.mul(&p.z, &q.z)
	t3 := w.cross(&p.x, &p.y, &q.x, &q.y, &t0, &t1) // X1Y2 + X2Y1
	t4 := w.cross(&p.x, &p.z, &q.x, &q.z, &t0, &t2) // X1Z2 + X2Z1
	t5 := w.cross(&p.y, &p.z, &q.y, &q.z, &t1, &t2) // Y1Z2 + Y2Z1

	az, bz := f.mul(&w.a, &t4), f.mul(&w.b3, &t2)
	s := f.add(&az, &bz) // a(X1Z2 + X2Z1) + 3b Z1Z2
	minus, plus := f.sub(&t1, &s), f.add(&t1, &s)

	az2 := f.mul(&w.a, &t2)
	m := f.add(&t0, &t0)
	m = f.add(&m, &t0)
	m = f.add(&m, &az2) // 3 X1X2 + a Z1Z2
	u := f.sub(&t0, &az2)
	u = f.mul(&w.a, &u)
	b4 := f.mul(&w.b3, &t4)
	u = f.add(&u, &b4) // a(X1X2 - a Z1Z2) + 3b(X1Z2 + X2Z1)

	return point{
		x: w.mulSub(&t3, &minus, &t5, &u),
		y: w.mulAdd(&minus, &plus, &m, &u),
		z: w.mulAdd(&t5, &plus, &t3, &m),
	}
}

// cross computes a*d + b*c, given ac = a*c and bd = b*d, by (a+b)(c+d) - ac - bd.
func (w *weierstrass) cross(a, b, c, d, ac, bd *element) element {
	s, t := w.f.add(a, b), w.f.add(c, d)
	r := w.f.mul(&s, &t)
	r = w.f.sub(&r, ac)
	return w.f.sub(&r, bd)
}

func (w *weierstrass) mulSub(a, b, c, d *element) element {
	x, y := w.f.mul(a, b), w.f.mul(c, d)
	return w.f.sub(&x, &y)
}

func (w *weierstrass) mulAdd(a, b, c, d *element) element {
	x, y := w.f.mul(a, b), w.f.mul(c, d)
	return w.f.add(&x, &y)
}

// multiply computes k*p in windows of 4 bits, with a table that is read whole for
// every window.
func (w *weierstrass) multiply(p *point, k []byte) point {
	infinity := point{y: w.f.one}
	var table [16]point
	table[0], table[1] = infinity, *p
	for i := 2; i < len(table); i++ {
		table[i] = w.add(&table[i-1], p)
	}
	r := infinity
	for _, b := range k {
		for _, window := range [...]byte{b >> 4, b & 15} {
			for range 4 {
				r = w.add(&r, &r)
			}
			q := lookUp(&table, window)
			r = w.add(&r, &q)
		}
	}
	return r
}

// lookUp returns table[i] and touches all of it.
func lookUp(table *[16]point, i byte) point {
	var r point
	for j := range table {
		diff := uint64(i) ^ uint64(j)
		mask := (diff - 1) >> 63 // 1 if equal: diff is small
		mask = -mask
		r.x.assign(&table[j].x, mask)
		r.y.assign(&table[j].y, mask)
		r.z.assign(&table[j].z, mask)
	}
	return r
}
