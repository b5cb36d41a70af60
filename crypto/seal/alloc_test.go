package seal

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/goike/goike/crypto"
)

// suites are all ciphers and all integrity algorithms at least once.
var suites = []struct{ words string }{
	{"aes128"}, {"aes192"}, {"aes256"}, {"aes128ctr"}, {"aes256ctr"}, {"null"},
	{"aes128gcm8"}, {"aes128gcm12"}, {"aes128gcm16"}, {"aes192gcm16"}, {"aes256gcm16"}, {"aes256gcm8"},
	{"aes128ccm8"}, {"aes192ccm12"}, {"aes256ccm16"}, {"chacha20poly1305"}, {"aes128gmac"}, {"aes256gmac"},
}

var integs = []string{"sha1", "sha256", "sha384", "sha512", "aesxcbc", "aescmac"}

type combo struct {
	name        string
	encr, integ crypto.Alg
}

// combos are all pairs of cipher and integrity algorithm that ESP knows.
func combos(t testing.TB) []combo {
	t.Helper()
	var cs []combo
	for _, s := range suites {
		for _, i := range integs {
			p, err := crypto.ParseProposal(crypto.ESP, s.words+"-"+i)
			if err != nil {
				t.Fatal(err)
			}
			c := combo{name: p.String(), encr: p.Of(crypto.Encr)[0]}
			if as := p.Of(crypto.Integ); len(as) > 0 {
				c.integ = as[0]
			}
			if cs = append(cs, c); crypto.Combined(c.encr) {
				break
			}
		}
	}
	return cs
}

func (c combo) sealer(t testing.TB) Sealer {
	t.Helper()
	ek, ik := make(crypto.Secret, crypto.KeyLen(c.encr)), make(crypto.Secret, crypto.KeyLen(c.integ))
	for i := range ek {
		ek[i] = byte(i + 1)
	}
	for i := range ik {
		ik[i] = byte(i + 101)
	}
	s, err := New(c.encr, c.integ, ek, ik)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// packet lays out head | IV | plaintext | ICV with n octets of plaintext.
func packet(s Sealer, head, n int) []byte {
	n = (n + s.Align() - 1) / s.Align() * s.Align()
	pkt := make([]byte, head+s.IVLen()+n+s.ICVLen())
	for i := range pkt {
		pkt[i] = byte(i * 7)
	}
	return pkt
}

// sizes are small, middling and full packets.
var sizes = []int{64, 512, 1420}

func TestNoAllocation(t *testing.T) {
	for _, c := range combos(t) {
		for _, n := range sizes {
			for _, high := range [][]byte{nil, {0, 0, 0, 1}} {
				noAllocation(t, c, n, high)
			}
		}
	}
}

func noAllocation(t *testing.T, c combo, n int, high []byte) {
	t.Helper()
	s := c.sealer(t)
	pkt := packet(s, espHead, n)
	work := bytes.Clone(pkt)
	s.Seal(work, espHead, high, 1)
	sealed := bytes.Clone(work)
	if allocs := testing.AllocsPerRun(10, func() { copy(work, pkt); s.Seal(work, espHead, high, 1) }); allocs != 0 {
		t.Errorf("%s: Seal allocates %v times for %d octets", c.name, allocs, n)
	}
	open := func() {
		copy(work, sealed)
		if _, err := s.Open(work, espHead, high); err != nil {
			t.Error(err)
		}
	}
	if allocs := testing.AllocsPerRun(10, open); allocs != 0 {
		t.Errorf("%s: Open allocates %v times for %d octets", c.name, allocs, n)
	}
}

func BenchmarkSealer(b *testing.B) {
	for _, c := range combos(b) {
		for _, n := range sizes {
			s := c.sealer(b)
			pkt := packet(s, espHead, n)
			b.Run(fmt.Sprintf("%s/seal/%d", c.name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					s.Seal(pkt, espHead, nil, uint64(i))
				}
			})
			b.Run(fmt.Sprintf("%s/open/%d", c.name, n), func(b *testing.B) {
				s.Seal(pkt, espHead, nil, 1)
				work := make([]byte, len(pkt))
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					copy(work, pkt)
					if _, err := s.Open(work, espHead, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
