package plane

import (
	"math/bits"
	"sync/atomic"
)

// table is a hash table that readers use without a lock: chains are never changed,
// only replaced. Writers must exclude each other.
type table[K comparable, V any] struct {
	hash    func(K) uint64
	buckets atomic.Pointer[[]atomic.Pointer[node[K, V]]]
	n       int
}

type node[K comparable, V any] struct {
	key   K
	value V
	next  *node[K, V]
}

const firstBuckets = 8

func newTable[K comparable, V any](hash func(K) uint64) *table[K, V] {
	t := &table[K, V]{hash: hash}
	b := make([]atomic.Pointer[node[K, V]], firstBuckets)
	t.buckets.Store(&b)
	return t
}

// get finds the value of a key.
func (t *table[K, V]) get(k K) (v V, ok bool) {
	b := *t.buckets.Load()
	for n := b[t.hash(k)&uint64(len(b)-1)].Load(); n != nil; n = n.next {
		if n.key == k {
			return n.value, true
		}
	}
	return v, false
}

// set gives a key its value.
func (t *table[K, V]) set(k K, v V) {
	b := *t.buckets.Load()
	at := &b[t.hash(k)&uint64(len(b)-1)]
	rest, found := without(at.Load(), k)
	at.Store(&node[K, V]{key: k, value: v, next: rest})
	if found {
		return
	}
	if t.n++; t.n > 2*len(b) {
		t.grow(b)
	}
}

// del removes a key.
func (t *table[K, V]) del(k K) {
	b := *t.buckets.Load()
	at := &b[t.hash(k)&uint64(len(b)-1)]
	if rest, found := without(at.Load(), k); found {
		at.Store(rest)
		t.n--
	}
}

// without returns a chain that lacks the key, and whether it was there.
func without[K comparable, V any](chain *node[K, V], k K) (rest *node[K, V], found bool) {
	for n := chain; n != nil; n = n.next {
		if n.key == k {
			found = true
		}
	}
	if !found {
		return chain, false
	}
	for n := chain; n != nil; n = n.next {
		if n.key != k {
			rest = &node[K, V]{key: n.key, value: n.value, next: rest}
		}
	}
	return rest, true
}

func (t *table[K, V]) grow(old []atomic.Pointer[node[K, V]]) {
	b := make([]atomic.Pointer[node[K, V]], 2*len(old))
	for i := range old {
		for n := old[i].Load(); n != nil; n = n.next {
			at := &b[t.hash(n.key)&uint64(len(b)-1)]
			at.Store(&node[K, V]{key: n.key, value: n.value, next: at.Load()})
		}
	}
	t.buckets.Store(&b)
}

// mix folds words into a hash that depends on a secret seed, so that nobody can
// choose keys that collide.
func mix(seed uint64, words ...uint64) uint64 {
	h := seed
	for _, w := range words {
		hi, lo := bits.Mul64(h^w, 0x9e3779b97f4a7c15)
		h = hi ^ lo ^ seed
	}
	hi, lo := bits.Mul64(h, 0xd6e8feb86659fd93)
	return hi ^ lo
}
