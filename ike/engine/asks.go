package engine

import (
	"errors"

	"github.com/goike/goike/ike"
)

// ask answers what only the shard knows and passes on the rest.
func (s *Shard) ask(now ike.Instant, e *entry, a ike.Ask) {
	if result, err, ok := s.aboutTicket(now, a.Query); ok {
		s.waiting = append(s.waiting, Finished{Ref: Ref(e.spi), Done: ike.Done{Ticket: a.Ticket, Result: result, Err: err}})
		return
	}
	if _, ok := a.Query.(ike.NewIKESPI); !ok {
		s.out.Ask(Ref(e.spi), a)
		return
	}
	s.waiting = append(s.waiting, Finished{Ref: Ref(e.spi), Done: ike.Done{
		Ticket: a.Ticket, Result: ike.NewSPI{SPI: s.newSPI(), ID: s.newID()},
	}})
}

var errNoTickets = errors.New("this host gives no tickets")

// aboutTicket answers a query about tickets; ok is false for another one.
func (s *Shard) aboutTicket(now ike.Instant, q ike.Query) (result any, err error, ok bool) {
	switch q.(type) {
	case ike.SealTicket, ike.OpenTicket, ike.UseTicket:
	default:
		return nil, nil, false
	}
	if s.cfg.Tickets == nil {
		return nil, errNoTickets, true
	}
	switch q := q.(type) {
	case ike.SealTicket:
		result, err = s.cfg.Tickets.Seal(now, q)
		q.State.Zero()
	case ike.OpenTicket:
		result, err = s.cfg.Tickets.Open(now, q.Ticket)
	case ike.UseTicket:
		err = s.cfg.Tickets.Use(now, q)
	}
	return result, err, true
}
