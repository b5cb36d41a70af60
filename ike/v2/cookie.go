package v2

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// A cookie is the number of the secret that it was made with and a keyed hash
// (RFC 7296, 2.6). A secret serves for cookieTime; cookies made with the one
// before it are still taken.
const (
	cookieTime = time.Minute
	cookieMAC  = 16
	cookieLen  = 1 + cookieMAC
)

// Cookies is the stateless defence against floods of first messages (RFC 7296,
// 2.6): who shows a cookie has received it at its address. It is safe for
// concurrent use.
type Cookies struct {
	rand io.Reader

	mu      sync.Mutex
	secrets [2][sha256.Size]byte // by the lowest bit of their number
	number  uint8
	ready   int         // secrets that may be used
	until   ike.Instant // when the next secret is due
}

// NewCookies makes the cookies of a daemon; rand is read now and then and must be
// good for secrets.
func NewCookies(rand io.Reader) *Cookies { return &Cookies{rand: rand} }

// Check tells whether a first message carries a valid cookie; if not, challenge
// is the reply that demands one, nil for a message that deserves none.
func (c *Cookies) Check(now ike.Instant, dg ike.Datagram) (ok bool, challenge []byte) {
	h, err := wire.ParseHeader(dg.Data)
	if err != nil || checkFirst(h, dg.Data) != nil {
		return false, nil
	}
	ps, err := wire.Parse(h.NextPayload, dg.Data[wire.HeaderLen:h.Length], wire.Limits{})
	if err != nil {
		return false, nil
	}
	nonce, found := wire.Find[*wire.Nonce](ps)
	if !found {
		return false, nil
	}
	about := cookieInput(h, dg, nonce)
	shown, _ := ps[0].(*wire.Notify)
	if shown != nil && shown.Kind == wire.NotifyCookie && c.valid(now, about, shown.Data) {
		return true, nil
	}
	cookie, err := c.make(now, about)
	if err != nil {
		return false, nil
	}
	reply := wire.Header{SPIi: h.SPIi, Major: 2, Exchange: h.Exchange, Flags: wire.FlagResponse}
	challenge, err = wire.Append(nil, reply, &wire.Notify{Kind: wire.NotifyCookie, Data: cookie})
	if err != nil {
		return false, nil
	}
	return false, challenge
}

// cookieInput is what a cookie is about: the initiator's nonce, address and SPI.
func cookieInput(h wire.Header, dg ike.Datagram, nonce *wire.Nonce) []byte {
	addr := dg.Path.Remote.Addr().As16()
	b := make([]byte, 0, len(addr)+8+len(nonce.Data))
	b = append(b, addr[:]...)
	b = binary.BigEndian.AppendUint64(b, h.SPIi)
	return append(b, nonce.Data...)
}

func (c *Cookies) make(now ike.Instant, about []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.rotate(now); err != nil {
		return nil, err
	}
	return c.sum(c.number, about), nil
}

func (c *Cookies) valid(now ike.Instant, about, cookie []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(cookie) != cookieLen || c.rotate(now) != nil {
		return false
	}
	age := c.number - cookie[0]
	return int(age) < c.ready && hmac.Equal(cookie, c.sum(cookie[0], about))
}

func (c *Cookies) sum(number uint8, about []byte) []byte {
	m := hmac.New(sha256.New, c.secrets[number&1][:])
	m.Write(about)
	return m.Sum([]byte{number})[:cookieLen]
}

// rotate puts a new secret in force when it is time. After a pause in which two
// would have been due no old cookie is taken.
func (c *Cookies) rotate(now ike.Instant) error {
	if c.ready > 0 && now < c.until {
		return nil
	}
	next := c.number + 1
	if _, err := io.ReadFull(c.rand, c.secrets[next&1][:]); err != nil {
		return err
	}
	if c.ready > 0 && now < c.until.Add(cookieTime) {
		c.ready = 2
	} else {
		c.ready = 1
	}
	c.number, c.until = next, now.Add(cookieTime)
	return nil
}
