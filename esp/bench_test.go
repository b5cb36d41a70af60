package esp

import (
	"fmt"
	"testing"
)

var benchSuites = []string{"aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes256-sha256", "null-sha256"}

func BenchmarkSeal(b *testing.B) {
	for _, words := range benchSuites {
		for _, size := range []int{64, 512, 1420} {
			b.Run(fmt.Sprintf("%s/%d", words, size), func(b *testing.B) {
				p := newPair(b, suiteOf(b, words).sa())
				buf, off := room(udp(b, false, size))
				header := [ip4Len]byte(buf[off:])
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					copy(buf[off:], header[:]) // what was sealed is no packet any more
					seq, _ := p.tx.Reserve(1)
					if _, _, err := p.in.Seal(buf, off, size, seq); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, words := range benchSuites {
		for _, size := range []int{64, 512, 1420} {
			b.Run(fmt.Sprintf("%s/%d", words, size), func(b *testing.B) {
				sa := suiteOf(b, words).sa()
				sa.Window = 0 // the same packet again and again
				p := newPair(b, sa)
				pkt, _ := p.seal(b, udp(b, false, size))
				buf, off := room(pkt)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					copy(buf[off:], pkt)
					seq, ok := p.rx.Check(buf[off : off+len(pkt)])
					if _, err := p.out.Open(buf, off, len(pkt), seq, Inbound{}); err != nil || !ok || !p.rx.Accept(seq) {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkParseFlow(b *testing.B) {
	for name, pkt := range map[string][]byte{"IPv4": udp(b, false, 100), "IPv6": udp(b, true, 100)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseFlow(pkt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWindow(b *testing.B) {
	p := newPair(b, func() SA { sa := suiteOf(b, "aes128gcm16").sa(); sa.Window = 1024; return sa }())
	b.ReportAllocs()
	for seq := uint64(1); b.Loop(); seq++ {
		p.rx.Accept(seq)
	}
}
