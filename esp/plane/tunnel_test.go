package plane

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// addresses of the tests, by family.
type family struct{ outerA, outerB, net1, net2, in1, in2 string }

var families = map[string]family{
	"4": {"192.0.2.1", "198.51.100.2", "10.1.0.0/16", "10.2.0.0/16", "10.1.0.5:1000", "10.2.0.6:2000"},
	"6": {"2001:db8::1", "2001:db8:ffff::2", "fd01::/64", "fd02::/64", "[fd01::5]:1000", "[fd02::6]:2000"},
}

func TestEveryCipher(t *testing.T) {
	for _, words := range []string{
		"aes128-sha1", "aes256-sha256", "aes256-sha512", "aes128ctr-sha256", "aes128-aesxcbc", "aes192-aescmac", "null-sha256",
		"aes128gcm8", "aes128gcm12", "aes256gcm16", "aes128ccm16", "aes256ccm8", "chacha20poly1305", "aes128gmac",
	} {
		for _, esn := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/esn=%v", words, esn), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := twoHosts(t, nil)
					defer a.close()
					defer b.close()
					f := families["4"]
					connect(t, a, b, f.outerA, f.outerB, f.net1, f.net2, func(x *tunnel) {
						x.words, x.encap, x.change = words, true, func(sa *esp.SA) { sa.ESN = esn }
					})
					exchange(a, b, f)
				})
			})
		}
	}
}

// exchange sends packets of many sizes in both directions.
func exchange(a, b *host, f family) {
	a.t.Helper()
	for _, n := range []int{48, 49, 50, 51, 64, 100, 576, 1279, 1400} {
		there := packet(protoUDP, f.in1, f.in2, n)
		back := packet(protoUDP, f.in2, f.in1, n)
		a.send(there, there)
		b.hasTaken(there, there)
		b.send(back)
		a.hasTaken(back)
	}
	a.counted(nil)
	b.counted(nil)
}

func TestEveryFamily(t *testing.T) {
	for _, outer := range []string{"4", "6"} {
		for _, inner := range []string{"4", "6"} {
			for _, encap := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s in %s/encap=%v", inner, outer, encap), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						a, b := twoHosts(t, nil)
						defer a.close()
						defer b.close()
						f := families[inner]
						f.outerA, f.outerB = families[outer].outerA, families[outer].outerB
						connect(t, a, b, f.outerA, f.outerB, f.net1, f.net2, func(x *tunnel) { x.encap = encap })
						exchange(a, b, f)
						for _, u := range a.wire.taken() {
							if u.encap != encap || u.Local.Addr().String() != f.outerA || u.Remote.Addr().String() != f.outerB {
								t.Fatalf("sent from %s to %s, encap %v", u.Local, u.Remote, u.encap)
							}
							if encap && u.Remote.Port() != 4500 {
								t.Errorf("sent to port %d", u.Remote.Port())
							}
							if bytes.Contains(u.Data, packet(protoUDP, f.in1, f.in2, 100)[40:]) {
								t.Error("plaintext was sent")
							}
						}
					})
				})
			}
		}
	}
}

func TestTransport(t *testing.T) {
	for _, fam := range []string{"4", "6"} {
		for _, encap := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/encap=%v", fam, encap), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := twoHosts(t, nil)
					defer a.close()
					defer b.close()
					f := families[fam]
					bits, one, two := "/32", f.outerA+":1000", f.outerB+":2000"
					if fam == "6" {
						bits, one, two = "/128", "["+f.outerA+"]:1000", "["+f.outerB+"]:2000"
					}
					connect(t, a, b, f.outerA, f.outerB, f.outerA+bits, f.outerB+bits, func(x *tunnel) { x.encap, x.mode = encap, esp.Transport })
					pkt := packet(protoUDP, one, two, 200)
					a.send(pkt)
					got := b.dev.taken()
					if len(got) != 1 {
						t.Fatalf("%d packets, counters %v, %v", len(got), a.nonzero(), b.nonzero())
					}
					at := 20
					if fam == "6" {
						at = 40
					}
					payload := slices.Clone(pkt[at:])
					if encap { // the checksum was made anew
						copy(payload[6:8], got[0][at+6:at+8])
					}
					if !bytes.Equal(got[0][at:], payload) {
						t.Errorf("payload changed: % x", got[0])
					}
					addresses := [2]int{12, 20}
					if fam == "6" {
						addresses = [2]int{8, 40}
					}
					if !bytes.Equal(got[0][addresses[0]:addresses[1]], pkt[addresses[0]:addresses[1]]) {
						t.Errorf("addresses changed: % x", got[0])
					}
				})
			})
		}
	}
}

// Several workers keep the order.
func TestOrderWithWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoHosts(t, func(c *Config) { c.Workers = 3 })
		defer a.close()
		defer b.close()
		f := families["4"]
		connect(t, a, b, f.outerA, f.outerB, f.net1, f.net2, func(x *tunnel) {
			x.encap, x.change = true, func(sa *esp.SA) { sa.Window = 32 }
		})
		var want [][]byte
		for batch := range 40 {
			var pkts [][]byte
			for i := range []int{1, 3, 100, 128}[batch%4] {
				p := packet(protoUDP, f.in1, f.in2, 100)
				p[30], p[31] = byte(batch), byte(i)
				pkts = append(pkts, p)
			}
			want = append(want, pkts...)
			a.dev.in <- pkts
		}
		synctest.Wait()
		b.hasTaken(want...)
		a.counted(nil)
		b.counted(nil)
	})
}

// Trains are taken apart, also across several batches.
func TestTrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoHosts(t, nil)
		defer a.close()
		defer b.close()
		f := families["4"]
		connect(t, a, b, f.outerA, f.outerB, f.net1, f.net2, func(x *tunnel) {
			x.encap, x.change = true, func(sa *esp.SA) { sa.Window = 1024 }
		})
		a.wire.set(func(w *wire) { w.to = nil })
		var want [][]byte
		for i := range 300 {
			p := packet(protoUDP, f.in1, f.in2, 1000)
			p[30], p[31] = byte(i>>8), byte(i)
			want = append(want, p)
		}
		want = append(want, packet(protoUDP, f.in1, f.in2, 500))
		a.send(want[:100]...)
		a.send(want[100:200]...)
		a.send(want[200:]...)
		var joined []byte
		all := a.wire.taken()
		for _, u := range all {
			joined = append(joined, u.Data...)
		}
		seg := len(all[0].Data)
		rest := joined
		var ps []udp.Packet
		for len(rest) > 0 {
			n := min(60*seg, len(rest))
			ps = append(ps, udp.Packet{Data: rest[:n], Seg: seg, Local: all[0].Remote, Remote: all[0].Local})
			rest = rest[n:]
		}
		before := slices.Clone(joined)
		b.Receive(ps, true)
		b.hasTaken(want...)
		if !bytes.Equal(joined, before) {
			t.Error("the caller's buffers were written to")
		}
		b.counted(nil)
	})
}

// Congestion that was marked outside reaches the inner packet; DF and DSCP are
// treated as the SA says.
func TestOuterHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoHosts(t, nil)
		defer a.close()
		defer b.close()
		f := families["4"]
		connect(t, a, b, f.outerA, f.outerB, f.net1, f.net2, func(x *tunnel) { x.change = func(sa *esp.SA) { sa.CopyDSCP = true } })
		pkt := packet(protoUDP, f.in1, f.in2, 100)
		pkt[1] = 0xb8 | 2 // expedited forwarding, ECN-capable
		a.wire.set(func(w *wire) { w.to = nil })
		a.send(df(pkt), pkt)
		got := a.wire.taken()
		if len(got) != 2 || got[0].TOS != 0xba || !got[0].DF || got[1].DF {
			t.Fatalf("sent %+v", got)
		}
		marked := got[1].Packet
		marked.Local, marked.Remote, marked.TOS = marked.Remote, marked.Local, 0xbb
		b.Receive([]udp.Packet{marked}, false)
		in := b.dev.taken()
		if len(in) != 1 || in[0][1] != 0xbb {
			t.Fatalf("received % x", in)
		}
	})
}
