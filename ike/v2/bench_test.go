package v2

import (
	"runtime"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
)

// BenchmarkHandshake sets up an IKE SA with a child, both sides in one goroutine.
func BenchmarkHandshake(b *testing.B) {
	for name, words := range map[string]string{
		"x25519": "aes256gcm16-prfsha256-curve25519", "ecp256": "aes256gcm16-prfsha256-ecp256", "modp2048": "aes256gcm16-prfsha256-modp2048",
	} {
		b.Run(name, func(b *testing.B) {
			n := newNetwork(b, func(x, y *conf.Connection) {
				x.Proposals = proposals(b, crypto.IKE, words)
				y.Proposals = x.Proposals
			})
			b.ReportAllocs()
			for b.Loop() {
				n.a.dial()
				n.run()
				if len(n.b.list()[0].children) != 1 {
					b.Fatal(n.story())
				}
				n.clear()
			}
		})
	}
}

// clear forgets everything, as if the hosts were new.
func (n *network) clear() {
	n.sent = nil
	for _, h := range []*host{n.a, n.b} {
		clear(h.sas)
		h.reports, h.last, h.plane.log = nil, nil, nil
		clear(h.plane.sas)
		clear(h.plane.policies)
		clear(h.plane.reserved)
	}
}

// heapOfSAs is how many octets of heap an established IKE SA with a child takes,
// averaged over n of them.
func heapOfSAs(t testing.TB, n int) (initiator, responder uint64) {
	net := newNetwork(t)
	all := [2][]*SA{make([]*SA, n), make([]*SA, n)}
	for i := range n {
		all[0][i] = net.a.dial()
		net.run()
		all[1][i] = net.b.last
		net.clear()
	}
	var out [2]uint64
	for side := range all {
		with := heap()
		if all[side][n-1].state != ike.Up || len(all[side][0].children) != 1 {
			t.Fatal("not established")
		}
		all[side] = nil
		out[side] = (with - heap()) / uint64(n)
	}
	return out[0], out[1]
}

func heap() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// maxHeap is what an established IKE SA with a child may take, in octets.
const maxHeap = 4 << 10

func TestMemory(t *testing.T) {
	initiator, responder := heapOfSAs(t, 200)
	if initiator > maxHeap || responder > maxHeap {
		t.Errorf("an established IKE SA with a child takes %d octets at the initiator, %d at the responder, more than %d", initiator, responder, maxHeap)
	}
}

// BenchmarkSAMemory reports the heap of an established IKE SA with a child, of
// 10000 of them.
func BenchmarkSAMemory(b *testing.B) {
	for b.Loop() {
		initiator, responder := heapOfSAs(b, 10000)
		b.ReportMetric(float64(initiator), "B/initiator")
		b.ReportMetric(float64(responder), "B/responder")
	}
}

// BenchmarkSnapshot writes down an IKE SA with one child.
func BenchmarkSnapshot(b *testing.B) {
	_, sa, _ := up(b)
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size = 0
		if !sa.Snapshot(func(_ uint64, data []byte) { size += len(data) }) {
			b.Fatal("no snapshot")
		}
	}
	b.ReportMetric(float64(size), "octets")
}
