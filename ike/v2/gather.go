package v2

import (
	"errors"
	"fmt"
	"io"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/ke"
	"github.com/goike/goike/ike"
)

// nonceLen is the length of our nonces in octets: at least half the key of every
// PRF (RFC 7296, 2.10).
const nonceLen = 32

// gather collects what an exchange needs before it acts: jobs, SPIs.
type gather struct {
	left  int
	err   error
	offer ke.Offer // our half of a key exchange, when we begin it
	nonce []byte
	pub   []byte        // our public value
	dh    crypto.Secret // the shared secret
	spi   ike.Reserved
	at    ike.Path // where the SPI is, and the CPI
	cpi   uint16   // 0: none
	ike   ike.NewSPI

	opened ike.OpenedTicket
	ticket []byte // for the peer

	cpiTicket ike.Ticket // of the question for the CPI, 0: not asked
	cpiErr    error      // why there is none
}

// compute has a job done; holder's resume is called with its result.
func (g *gather) compute(sa *SA, holder resumer, job ike.Job, fx *ike.Effects) {
	g.left++
	prio := ike.HalfOpen
	if sa.established != ike.Never {
		prio = ike.Established
	}
	fx.Do(ike.Compute{Ticket: sa.newTicket(holder), Priority: prio, Job: job})
}

// ask asks a shared service.
func (g *gather) ask(sa *SA, holder resumer, q ike.Query, fx *ike.Effects) {
	g.left++
	if _, ok := q.(ike.Reserve); ok {
		g.at = sa.path
	}
	fx.Do(ike.Ask{Ticket: sa.newTicket(holder), Query: q})
}

// take stores a result and tells whether all are there.
func (g *gather) take(d ike.Done) bool {
	g.left--
	if g.cpiTicket != 0 && d.Ticket == g.cpiTicket {
		g.takeCPI(d)
		return g.left == 0
	}
	if d.Err != nil && g.err == nil {
		g.err = d.Err
	}
	switch r := d.Result.(type) {
	case offered:
		g.offer, g.nonce = r.offer, r.nonce
		if r.offer != nil {
			g.pub = r.offer.Public()
		}
	case answered:
		g.pub, g.dh, g.nonce = r.public, r.secret, r.nonce
	case agreed:
		g.dh = r.secret
	case ike.Reserved:
		g.spi = r
	case ike.NewSPI:
		g.ike = r
	case ike.OpenedTicket:
		g.opened = r
	case []byte:
		g.ticket = r
	}
	return g.left == 0
}

var errNoGroup = errors.New("no such key exchange method")

// offerJob makes a nonce, unless there is one, and, for a group other than 0, our
// half of a key exchange.
type offerJob struct {
	group uint16
	nonce []byte
}

type offered struct {
	offer ke.Offer
	nonce []byte
}

// Run implements ike.Job.
func (j offerJob) Run(rand io.Reader) (any, error) {
	nonce, err := j.nonce, error(nil)
	if nonce == nil {
		nonce, err = newNonce(rand)
	}
	if err != nil || j.group == 0 {
		return offered{nonce: nonce}, err
	}
	m, ok := ke.Get(j.group)
	if !ok {
		return nil, errNoGroup
	}
	offer, err := m.Offer(rand)
	return offered{offer: offer, nonce: nonce}, err
}

// answerJob makes a nonce and, for a group other than 0, answers the peer's half.
type answerJob struct {
	group uint16
	peer  []byte
}

type answered struct {
	public, nonce []byte
	secret        crypto.Secret
}

// Run implements ike.Job.
func (j answerJob) Run(rand io.Reader) (any, error) {
	nonce, err := newNonce(rand)
	if err != nil || j.group == 0 {
		return answered{nonce: nonce}, err
	}
	m, ok := ke.Get(j.group)
	if !ok {
		return nil, errNoGroup
	}
	pub, secret, err := m.Answer(rand, j.peer)
	return answered{public: pub, secret: secret, nonce: nonce}, err
}

// agreeJob computes the shared secret from the peer's answer to our offer.
type agreeJob struct {
	offer ke.Offer
	peer  []byte
}

type agreed struct{ secret crypto.Secret }

// Run implements ike.Job.
func (j agreeJob) Run(io.Reader) (any, error) {
	secret, err := j.offer.Finish(j.peer)
	return agreed{secret}, err
}

// Format keeps the shared secret out of whatever is printed.
func (answered) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "answered key exchange") }

// Format keeps the shared secret out of whatever is printed.
func (agreed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "agreed key exchange") }

// Format keeps our half of the key exchange out of whatever is printed.
func (offered) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "offered key exchange") }

// Format keeps our half of the key exchange out of whatever is printed.
func (agreeJob) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "job of a key exchange") }

func newNonce(rand io.Reader) ([]byte, error) {
	n := make([]byte, nonceLen)
	_, err := io.ReadFull(rand, n)
	return n, err
}
