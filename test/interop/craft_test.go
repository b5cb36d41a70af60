//go:build linux

package interop

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/goike/goike/test/lab"
)

// firstMessage is an IKE_SA_INIT request for aes256gcm16-prfsha256-curve25519,
// written octet by octet (RFC 7296, 3): what a peer sends that is never heard of
// again.
func firstMessage(spi uint64) []byte {
	transforms := slices.Concat(
		[]byte{3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 1, 0}, // ENCR_AES_GCM_16, 256 bits
		[]byte{3, 0, 0, 8, 2, 0, 0, 5},                   // PRF_HMAC_SHA2_256
		[]byte{0, 0, 0, 8, 4, 0, 0, 31})                  // Curve25519
	proposal := append([]byte{0, 0, 0, byte(8 + len(transforms)), 1, 1, 0, 3}, transforms...)
	b := binary.BigEndian.AppendUint64(nil, spi)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 33, 0x20, 34, 0x08, 0, 0, 0, 0, 0, 0, 0, 0)
	b = appendPayload(b, 34, proposal)
	b = appendPayload(b, 40, append([]byte{0, 31, 0, 0}, random(32)...))
	b = appendPayload(b, 0, random(32))
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}

func appendPayload(b []byte, next byte, body []byte) []byte {
	b = append(b, next, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(body)))
	return append(b, body...)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// halfOpen leaves n half-open IKE SAs at a gateway, from the internet.
func (w *world) halfOpen(t *testing.T, at netip.Addr, n int) {
	t.Helper()
	err := w.Internet.Do(func() error {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 500)))
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		for i := range n {
			if _, err := c.Write(firstMessage(uint64(i + 1))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The capture sees requests and answers; all requests are there when the last is.
	if err := lab.Eventually(wait, func() error { return w.ike(n) }); err != nil {
		t.Fatal(err)
	}
}
