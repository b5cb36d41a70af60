package udp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// numbered makes n packets of a size that tell their number, and a shorter last one.
func numbered(n, size int, p Packet) []Packet {
	ps := make([]Packet, n)
	for i := range ps {
		ps[i] = p
		ps[i].Data = bytes.Repeat([]byte{byte(i)}, size)
	}
	ps[n-1].Data = ps[n-1].Data[:size/2]
	return ps
}

func wantSame(t *testing.T, got, want []Packet) {
	t.Helper()
	for i := range want {
		if !bytes.Equal(got[i].Data, want[i].Data) {
			t.Fatalf("packet %d: %d octets beginning with %x, want %d", i, len(got[i].Data), got[i].Data[:min(4, len(got[i].Data))], len(want[i].Data))
		}
	}
}

// Trains arrive as trains where both ends can, and as single datagrams else. More
// than 64 packets are several trains.
func TestTrains(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		for _, ends := range [][2]bool{{true, true}, {true, false}, {false, true}, {false, false}} {
			out := listen(t, ns, Options{Addr: port0(f.a), Offload: ends[0]})
			in := listen(t, ns, Options{Addr: port0(f.b), Offload: ends[1], BufferBytes: 4 << 20})
			want := numbered(150, 400, Packet{Remote: in.LocalAddr(), Local: out.LocalAddr(), TOS: 1})
			send(t, out, want...)
			wantSame(t, receive(t, in, len(want)), want)
			if ends[0] != out.writes.gso {
				t.Errorf("%s: trains: %v, want %v", f.name, out.writes.gso, ends[0])
			}
		}
	}
}

func TestReceivedTrainHasItsSegmentSize(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		s := listen(t, ns, Options{Addr: port0(f.a), Offload: true})
		want := numbered(40, 1400, Packet{Remote: s.LocalAddr()})
		send(t, s, want...)
		ps := buffers(MaxBatch, 1<<16)
		n, err := s.ReadBatch(ps)
		if err != nil || n != 1 || ps[0].Seg != 1400 || len(ps[0].Data) != 39*1400+700 {
			t.Fatalf("%s: %d packets, error %v, the first of %d octets with segments of %d", f.name, n, err, len(ps[0].Data), ps[0].Seg)
		}
		wantSame(t, apart(ps[0]), want)
	}
}

// What differs in anything but content does not share a train.
func TestTrainsEnd(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:1")
	base := Packet{Data: make([]byte, 100), Remote: a, Local: a}
	for _, tc := range []struct {
		name   string
		change func(p *Packet)
		want   int
	}{
		{"nothing", func(*Packet) {}, 4},
		{"remote", func(p *Packet) { p.Remote = b }, 2},
		{"remote port", func(p *Packet) { p.Remote = netip.AddrPortFrom(a.Addr(), 2) }, 2},
		{"local", func(p *Packet) { p.Local = b }, 2},
		{"local port", func(p *Packet) { p.Local = netip.AddrPortFrom(a.Addr(), 2) }, 4},
		{"TOS", func(p *Packet) { p.TOS = 1 }, 2},
		{"DF", func(p *Packet) { p.DF = true }, 2},
		{"longer", func(p *Packet) { p.Data = make([]byte, 101) }, 2},
		{"shorter", func(p *Packet) { p.Data = p.Data[:99] }, 3},
		{"empty", func(p *Packet) { p.Data = nil }, 2},
		{"beyond one IP packet", func(p *Packet) { p.Data = make([]byte, maxTrainBytes) }, 2},
	} {
		ps := []Packet{base, base, base, base}
		tc.change(&ps[2])
		w := writer{gso: true}
		if got := w.train(ps); got != tc.want {
			t.Errorf("%s: a train of %d, want %d", tc.name, got, tc.want)
		}
		w.gso = false
		if got := w.train(ps); got != 1 {
			t.Errorf("%s: a train of %d without offload", tc.name, got)
		}
	}
	many := make([]Packet, 100)
	for i := range many {
		many[i] = base
	}
	if got := (&writer{gso: true}).train(many); got != maxTrain {
		t.Errorf("a train of %d, want %d", got, maxTrain)
	}
}

// With DF what does not fit the path is refused, and only that; without, it is
// fragmented. It is so in trains as well.
func TestTooLargeForThePath(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		for _, offload := range []bool{false, true} {
			in := listen(t, ns, Options{Addr: port0(f.b), BufferBytes: 4 << 20})
			out := listen(t, ns, Options{Addr: port0(f.a), Offload: offload})
			small := Packet{Data: []byte("small"), Remote: in.LocalAddr(), DF: true}
			large := Packet{Data: make([]byte, hostMTU), Remote: in.LocalAddr(), DF: true}
			err := out.WriteBatch([]Packet{small, large, large, large, small, small})
			wantFailure(t, err, 1, 3, unix.EMSGSIZE)
			wantSame(t, receive(t, in, 3), []Packet{small, small, small})
			large.DF = false
			want := []Packet{large, large, small, large, small, large}
			send(t, out, want...)
			wantSame(t, receive(t, in, len(want)), want)
		}
	}
}

func TestRawTooLargeForThePath(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		s := listenRaw(t, ns, Options{Addr: port0(f.a)})
		large := Packet{Data: make([]byte, hostMTU), Remote: port0(f.a), DF: true}
		small := Packet{Data: []byte("small"), Remote: port0(f.a), DF: true}
		wantFailure(t, s.WriteBatch([]Packet{small, large}), 1, 1, unix.EMSGSIZE)
		large.DF = false
		send(t, s, large)
		wantSame(t, receive(t, s, 2), []Packet{small, large})
	}
}

func TestFailuresKeepNothingBack(t *testing.T) {
	ns := newHost(t)
	for i, f := range families {
		other := families[1-i]
		in := listen(t, ns, Options{Addr: port0(f.b)})
		out := listen(t, ns, Options{Addr: port0(f.a), Offload: true})
		good := Packet{Data: []byte("good"), Remote: in.LocalAddr()}
		unreachable := Packet{Data: []byte("bad"), Remote: netip.AddrPortFrom(netip.MustParseAddr([]string{"203.0.113.1", "2001:db8:ffff::1"}[i]), 9)}
		foreign := Packet{Data: []byte("bad"), Remote: netip.AddrPortFrom(other.a, 9)}
		stranger := good
		stranger.Local = port0(unreachable.Remote.Addr())
		err := out.WriteBatch([]Packet{good, foreign, good, unreachable, unreachable, good, {}, stranger, good})
		wantFailure(t, err, 1, 5, unix.EAFNOSUPPORT)
		wantFailure(t, out.WriteBatch([]Packet{unreachable, unreachable, foreign}), 0, 3, unix.ENETUNREACH)
		if err := out.WriteBatch([]Packet{stranger}); err == nil {
			t.Errorf("%s: a packet left from an address that is not ours", f.name)
		}
		wantSame(t, receive(t, in, 4), []Packet{good, good, good, good})
	}
}

func TestPacketErrorNamesThePacket(t *testing.T) {
	err := &PacketError{Index: 3, Err: unix.EMSGSIZE}
	if got, want := err.Error(), "packet 3 of the batch was not sent: message too long"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEmptyBatches(t *testing.T) {
	ns := newHost(t)
	s := listen(t, ns, Options{Addr: port0(families[0].a)})
	send(t, s)
	send(t, s, Packet{Remote: s.LocalAddr()}, Packet{Data: []byte("x"), Remote: s.LocalAddr()})
	ps := receive(t, s, 2)
	if len(ps[0].Data) != 0 || string(ps[1].Data) != "x" {
		t.Errorf("got %+v", ps)
	}
}

// Several goroutines write and read the same sockets; every packet comes once.
func TestConcurrentUse(t *testing.T) {
	const writers, batches, size = 4, 20, 8
	ns := newHost(t)
	in := listen(t, ns, Options{Addr: port0(families[0].b), Offload: true, BufferBytes: 8 << 20})
	out := listen(t, ns, Options{Addr: port0(families[0].a), Offload: true})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for b := range batches {
				ps := make([]Packet, size)
				for i := range ps {
					ps[i] = Packet{Data: binary.BigEndian.AppendUint32(nil, uint32(w<<16|b<<8|i)), Remote: in.LocalAddr(), DF: b%2 == 0, TOS: uint8(w)}
				}
				if err := out.WriteBatch(ps); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var mu sync.Mutex
	seen := make(map[uint32]int)
	for range 2 {
		wg.Go(func() {
			ps := buffers(4, 1<<16)
			for {
				n, err := in.ReadBatch(ps)
				if err != nil {
					return // the last packet closes it
				}
				mu.Lock()
				for _, p := range ps[:n] {
					for _, one := range apart(p) {
						seen[binary.BigEndian.Uint32(one.Data)]++
					}
				}
				if len(seen) == writers*batches*size {
					_ = in.Close()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i, n := range seen {
		if n != 1 {
			t.Errorf("packet %x came %d times", i, n)
		}
	}
	if len(seen) != writers*batches*size {
		t.Errorf("%d packets came", len(seen))
	}
}

func TestNothingIsAllocatedPerPacket(t *testing.T) {
	ns := newHost(t)
	for _, f := range families {
		udp := listen(t, ns, Options{Addr: port0(f.any), Offload: true, BufferBytes: 4 << 20})
		raw := listenRaw(t, ns, Options{Addr: port0(f.a), BufferBytes: 4 << 20})
		for name, s := range map[string]*Socket{"UDP": udp, "raw": raw} {
			t.Run(fmt.Sprint(f.name, name), func(t *testing.T) {
				to := netip.AddrPortFrom(f.a, s.LocalAddr().Port())
				out := numbered(40, 200, Packet{Remote: to, Local: port0(f.a), TOS: 2})
				for i := range out {
					out[i].DF = i%8 == 0
				}
				in := buffers(MaxBatch, 1<<16)
				allocs := testing.AllocsPerRun(20, func() {
					if err := s.WriteBatch(out); err != nil {
						t.Fatal(err)
					}
					for got := 0; got < len(out); {
						n, err := s.ReadBatch(in)
						if err != nil {
							t.Fatal(err)
						}
						for _, p := range in[:n] {
							got++
							if p.Seg > 0 {
								got += (len(p.Data)+p.Seg-1)/p.Seg - 1
							}
						}
					}
				})
				if allocs != 0 {
					t.Errorf("%v allocations for %d packets", allocs, len(out))
				}
			})
		}
	}
}
