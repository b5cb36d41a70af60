package v2

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
)

// ticketKeyTime is how long a key seals tickets; it opens them for as long again.
const ticketKeyTime = 12 * time.Hour

// maxUsed bounds how many used tickets are remembered. When there are more all tickets
// are given up, by new keys.
const maxUsed = 1 << 16

const (
	ticketIDLen   = 16
	ticketHeadLen = 1 + 12 // number of the key, nonce
	ticketBodyLen = ticketIDLen + 8
)

var (
	errTicket     = errors.New("the ticket is not of this host, or too old")
	errTicketUsed = errors.New("the ticket was used already")
)

// Tickets seals tickets under keys of the process and remembers which were used (RFC
// 5723, 4.3.1, 5.2). It is safe for concurrent use.
type Tickets struct {
	mu     sync.Mutex
	rand   io.Reader
	keys   [2]cipher.AEAD // by the parity of their number
	number uint8
	ready  int
	until  ike.Instant
	used   map[[ticketIDLen]byte]ike.Instant // when they expire
}

// NewTickets returns a Tickets that takes its keys from rand.
func NewTickets(rand io.Reader) *Tickets {
	return &Tickets{rand: rand, used: make(map[[ticketIDLen]byte]ike.Instant)}
}

// Seal makes a ticket.
func (t *Tickets) Seal(now ike.Instant, q ike.SealTicket) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.rotate(now); err != nil {
		return nil, err
	}
	out := make([]byte, ticketHeadLen, ticketHeadLen+ticketBodyLen+len(q.State)+16)
	out[0] = t.number
	if _, err := io.ReadFull(t.rand, out[1:]); err != nil {
		return nil, err
	}
	plain := make([]byte, ticketIDLen, ticketBodyLen+len(q.State))
	defer clear(plain[:cap(plain)])
	if _, err := io.ReadFull(t.rand, plain); err != nil {
		return nil, err
	}
	plain = appendU64(plain, uint64(q.Expires))
	plain = append(plain, q.State...)
	return t.keys[t.number&1].Seal(out, out[1:ticketHeadLen], plain, out[:1]), nil
}

// Open reads a ticket that was not used yet.
func (t *Tickets) Open(now ike.Instant, ticket []byte) (ike.OpenedTicket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var o ike.OpenedTicket
	if len(ticket) < ticketHeadLen || t.rotate(now) != nil || int(t.number-ticket[0]) >= t.ready {
		return o, errTicket
	}
	plain, err := t.keys[ticket[0]&1].Open(nil, ticket[1:ticketHeadLen], ticket[ticketHeadLen:], ticket[:1])
	if err != nil || len(plain) < ticketBodyLen {
		return o, errTicket
	}
	o.ID, o.State = [ticketIDLen]byte(plain), plain[ticketBodyLen:]
	o.Expires = ike.Instant(readU64(plain[ticketIDLen:]))
	if _, used := t.used[o.ID]; used || now >= o.Expires {
		o.State.Zero()
		return ike.OpenedTicket{}, errTicket
	}
	return o, nil
}

// Use marks a ticket as used.
func (t *Tickets) Use(now ike.Instant, q ike.UseTicket) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, used := t.used[q.ID]; used || now >= q.Expires {
		return errTicketUsed
	}
	if len(t.used) >= maxUsed {
		t.forget(now)
	}
	t.used[q.ID] = q.Expires
	return nil
}

// forget forgets the used tickets that have expired; when that are too few no ticket is
// good any more.
func (t *Tickets) forget(now ike.Instant) {
	for id, expires := range t.used {
		if now >= expires {
			delete(t.used, id)
		}
	}
	if len(t.used) >= maxUsed/2 {
		clear(t.used)
		t.ready = 0
	}
}

// rotate puts a new key in force when it is time.
func (t *Tickets) rotate(now ike.Instant) error {
	if t.ready > 0 && now < t.until {
		return nil
	}
	key := make(crypto.Secret, 32)
	defer key.Zero()
	if _, err := io.ReadFull(t.rand, key); err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	if t.ready > 0 && now < t.until.Add(ticketKeyTime) {
		t.ready = 2
	} else {
		t.ready = 1
	}
	t.number++
	t.keys[t.number&1], t.until = aead, now.Add(ticketKeyTime)
	return nil
}
