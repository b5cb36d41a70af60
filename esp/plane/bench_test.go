package plane

import (
	"fmt"
	"os"
	"testing"

	"github.com/goike/goike/internal/udp"
)

// treadmill is a device that gives the same batch again and again, n times.
type treadmill struct {
	pkts  [][]byte
	n     int
	start chan struct{}
	end   chan struct{}
	wrote int
	want  int // when so many were written, end is told
}

func (d *treadmill) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	if d.n == 0 {
		d.end <- struct{}{}
		if _, ok := <-d.start; !ok {
			return 0, os.ErrClosed
		}
	}
	d.n--
	for i, pkt := range d.pkts {
		sizes[i] = copy(bufs[i][offset:], pkt)
	}
	return len(d.pkts), nil
}

func (d *treadmill) Write(bufs [][]byte, _ int) (int, error) {
	if d.wrote += len(bufs); d.wrote == d.want {
		d.end <- struct{}{}
	}
	return len(bufs), nil
}

func (d *treadmill) BatchSize() int { return 128 }
func (d *treadmill) Close() error   { close(d.start); return nil }

// trainWire delivers to the other plane what UDP GRO makes of it.
type trainWire struct {
	to  *Plane
	buf []byte
	one [1]udp.Packet
}

func (w *trainWire) WriteUDP(ps []udp.Packet) error {
	w.buf = w.buf[:0]
	for i := range ps {
		if len(w.buf)+len(ps[i].Data) > 65000 {
			w.flush(&ps[0])
		}
		w.buf = append(w.buf, ps[i].Data...)
	}
	w.flush(&ps[0])
	return nil
}

func (w *trainWire) flush(p *udp.Packet) {
	w.one[0] = udp.Packet{Data: w.buf, Seg: len(p.Data), Local: p.Remote, Remote: p.Local}
	w.to.Receive(w.one[:], true)
	w.buf = w.buf[:0]
}

func (w *trainWire) WriteRaw([]udp.Packet) error { return nil }

// benchPlanes moves batches of 43 packets from plane to plane.
func benchPlanes(b *testing.B, words string, size, workers int) {
	const perBatch = 43
	from := &treadmill{start: make(chan struct{}), end: make(chan struct{})}
	for i := range perBatch {
		p := packet(protoTCP, "10.1.0.1:1000", "10.2.0.1:2000", size)
		p[32], p[33] = 0x80, 0x10 // TCP header of 32 octets, ACK
		p[24+3] = byte(i)
		copy(p[28:], "ackn")
		from.pkts = append(from.pkts, p)
	}
	to := &treadmill{start: make(chan struct{}), end: make(chan struct{})}
	w := &trainWire{buf: make([]byte, 0, 1<<16)}
	A, err := New(Config{Device: from, Carrier: w, Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	B, err := New(Config{Device: to, Carrier: w, Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	w.to = B
	ha, hb := &host{Plane: A, t: b}, &host{Plane: B, t: b}
	connect(b, ha, hb, "192.0.2.1", "192.0.2.2", "10.1.0.0/16", "10.2.0.0/16", func(x *tunnel) { x.words, x.encap = words, true })
	<-from.end
	<-to.end
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	from.n = (b.N + perBatch - 1) / perBatch
	n := from.n * perBatch
	to.want = n
	from.start <- struct{}{}
	<-to.end
	b.StopTimer()
	<-from.end
	ha.close()
	hb.close()
}

func BenchmarkPlaneToPlane(b *testing.B) {
	for _, words := range []string{"aes128gcm16", "chacha20poly1305", "aes256-sha256"} {
		for _, size := range []int{64, 512, 1420} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/%d/workers=%d", words, size, workers), func(b *testing.B) { benchPlanes(b, words, size, workers) })
			}
		}
	}
}
