//go:build linux

package planes

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/goike/goike/test/lab"
)

const (
	ethernetHeader = 14
	ip4Header      = 20
	protoESP       = 50
	protoUDP       = 17
)

// tap keeps the IPv4 packets of one SA that A sends, as they come from A.
type tap struct {
	handle *pcapgo.EthernetHandle
	done   chan struct{}
	mu     sync.Mutex
	list   [][]byte
}

// tapSA begins to keep the packets with an SPI, raw and in UDP.
func (p *pair) tapSA(t testing.TB, spi uint32) *tap {
	t.Helper()
	w := &tap{done: make(chan struct{})}
	err := p.Internet.Do(func() (err error) {
		w.handle, err = pcapgo.NewEthernetHandle("toA")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	go w.run(spi)
	t.Cleanup(func() { _ = w.handle.Close(); <-w.done })
	return w
}

func (w *tap) run(spi uint32) {
	defer close(w.done)
	for {
		frame, _, err := w.handle.ReadPacketData()
		if err != nil {
			return
		}
		if len(frame) < ethernetHeader+ip4Header+16 || spiOf(frame[ethernetHeader:]) != spi {
			continue
		}
		pkt := frame[ethernetHeader:]
		n := int(binary.BigEndian.Uint16(pkt[2:])) // what follows fills up the frame
		if pkt[9] == protoUDP {
			clear(pkt[ip4Header+6 : ip4Header+8]) // the checksum is made later, by the card
		}
		w.mu.Lock()
		w.list = append(w.list, pkt[:min(n, len(pkt))])
		w.mu.Unlock()
	}
}

// spiOf is the SPI of an IPv4 packet of ESP, 0 for others.
func spiOf(pkt []byte) uint32 {
	switch {
	case pkt[0] != 0x45:
		return 0
	case pkt[9] == protoESP:
		return binary.BigEndian.Uint32(pkt[ip4Header:])
	case pkt[9] == protoUDP && binary.BigEndian.Uint16(pkt[ip4Header+2:]) == 4500:
		return binary.BigEndian.Uint32(pkt[ip4Header+8:])
	}
	return 0
}

// next waits until n packets have come, and takes them away.
func (w *tap) next(t testing.TB, n int) (list [][]byte) {
	t.Helper()
	eventually(t, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.list) < n {
			return fmt.Errorf("%d packets of the SA were seen, want %d", len(w.list), n)
		}
		list, w.list = w.list[:n], w.list[n:]
		return nil
	})
	return list
}

// inject sends an IPv4 packet with its header from the middle of the internet.
func (p *pair) inject(t testing.TB, packets ...[]byte) {
	t.Helper()
	fd := -1
	err := p.Internet.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	for _, pkt := range packets {
		if err := unix.Sendto(fd, pkt, 0, &unix.SockaddrInet4{Addr: [4]byte(pkt[16:20])}); err != nil {
			t.Fatal(err)
		}
	}
}

// udpPacket is an IPv4 packet of UDP; the kernel fills in the checksum of its header.
func udpPacket(src, dst netip.AddrPort, payload []byte) []byte {
	b := make([]byte, ip4Header+8, ip4Header+8+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	s, d := src.Addr().As4(), dst.Addr().As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	binary.BigEndian.PutUint16(b[20:], src.Port())
	binary.BigEndian.PutUint16(b[22:], dst.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	return append(b, payload...)
}

// lose has the internet lose everything until again is called.
func (p *pair) lose(t testing.TB) (again func()) {
	t.Helper()
	if err := p.Drop(""); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := p.Open(); err != nil {
			t.Fatal(err)
		}
	}
}

// middle changes packets in the middle of the internet, by rules of nftables for what
// arrives and what leaves.
func (p *pair) middle(t testing.TB, arrives, leaves string) {
	t.Helper()
	const chain = "chain %s {\ntype filter hook %s priority -300\n%s\n}\n"
	_, err := p.Internet.RunCommand(t.Context(), lab.Command{Args: []string{"nft", "-f", "-"}, Stdin: "flush ruleset\ntable ip middle {\n" +
		fmt.Sprintf(chain, "pre", "prerouting", arrives) + fmt.Sprintf(chain, "post", "postrouting", leaves) + "}\n"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := p.Internet.Run(context.Background(), "nft", "flush", "ruleset"); err != nil {
			t.Error(err)
		}
	})
}
