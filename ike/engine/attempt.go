package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

var errNoPath = errors.New("no route to the peer")

// located begins the IKE SA, on the path whose turn it is.
func (s *Steward) located(now ike.Instant, in Located) {
	l := s.tickets[in.Ticket]
	delete(s.tickets, in.Ticket)
	if l == nil || l.gone || l.ticket != in.Ticket {
		return
	}
	if in.Err == nil && len(in.Paths) == 0 {
		in.Err = errNoPath
	}
	s.trapAt(now, l, in.Paths)
	if l.stage != locating {
		s.reconcile(now, l)
		return
	}
	l.stage = idle
	switch missing := l.missing(); {
	case in.Err != nil:
		s.unlocated(now, l, in.Err)
	case s.usable(l) != nil || len(missing) == 0 || s.stopping:
		s.reconcile(now, l)
	default:
		first := (l.try - 1) % len(in.Paths)
		l.paths = slices.Concat(in.Paths[first:], in.Paths[:first])
		s.dial(l, missing)
	}
}

// dial begins an IKE SA on the next path of the try.
func (s *Steward) dial(l *link, names []string) {
	path := l.paths[0]
	l.paths = l.paths[1:]
	l.stage, l.attempt = connecting, s.newID()
	contact := l.ikes+l.leaving == 0 && s.conf.Unique(l.conn) != conf.UniqueNever
	s.sas[l.attempt] = &phase1{timer: newTimer(l.attempt), id: l.attempt, link: l, initiator: true, contact: contact, towards: path.Remote.Addr()}
	d := Dial{ID: l.attempt, Conn: l.conn, Path: path, InitialContact: contact}
	d.Session, l.session = l.session, nil // used once
	if l.redirect != nil {
		d.RedirectedFrom = l.redirect.from
	}
	for _, name := range names {
		l.asked[name] = l.attempt
		d.First = append(d.First, l.initiate(name))
	}
	s.out.Dial(d)
}

// dialNext goes on with the next address of a peer that does not answer at one; it
// tells whether there is any.
func (s *Steward) dialNext(l *link, why *ike.Refusal) bool {
	missing := l.missing()
	if s.stopping || l.gone || len(l.paths) == 0 || len(missing) == 0 || why == nil || why.Cause != ike.NoAnswer {
		return false
	}
	s.say(ike.Step, l, "", fmt.Sprintf("no answer, trying %s", l.paths[0].Remote.Addr()))
	s.dial(l, missing)
	return true
}

func (s *Steward) unlocated(now ike.Instant, l *link, err error) {
	var subject subjectError
	errors.As(err, &subject) // of no subject otherwise
	why := &ike.Refusal{
		Cause: ike.Internal, Subject: subject.subject, Err: err.Error(),
		Hint: "check remote_gateway, local_address, name service and routes",
	}
	text := fmt.Sprintf("the peer cannot be reached: %v", err)
	s.out.Report(ike.Report{Kind: ike.Failed, Conn: l.conn.Name, Text: text, Why: why})
	s.failed(now, l, why, text)
	l.unreached = true
}

// failed learns that something of a try has failed. The try is over when nothing of
// it is under way any more.
func (s *Steward) failed(now ike.Instant, l *link, why *ike.Refusal, text string) {
	l.lastError, l.lastAt = why, now
	l.unreached = why != nil && why.Cause == ike.NoAnswer
	l.redirect = nil // from the configured gateway on again
	s.disappoint(l, text)
	l.failure = true
	wait := max(backoff(l.try)-now.Sub(l.begun), soon)
	l.notBefore = now.Add(wait + s.upTo(wait/4))
	s.reconcile(now, l)
}

// conclude ends a try that has failed: there is another one, or what is missing is
// given up.
func (s *Steward) conclude(now ike.Instant, l *link) {
	l.failure, l.paths = false, nil
	missing := l.missing()
	if len(missing) == 0 {
		return
	}
	tries := l.conn.KeyingTries
	if l.conn.Boldest() == conf.ResponderOnly {
		tries = 1
	}
	if tries > 0 && l.try >= tries {
		s.giveUp(now, l, missing)
		return
	}
	wait := max(l.notBefore.Sub(now), 0)
	s.say(ike.Step, l, "", fmt.Sprintf("trying again in %s (try %s)", wait.Round(time.Second), ordinal(l.try+1, tries)))
}

func ordinal(n, of int) string {
	if of == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, of)
}

// giveUp ends a series of tries; traffic or a command begins another.
func (s *Steward) giveUp(now ike.Instant, l *link, names []string) {
	l.leave(names)
	l.over = true
	s.trapAgain(l, names)
	l.notBefore = min(l.notBefore, now.Add(max(firstRetry-now.Sub(l.begun), soon))) // of a new series
	if l.conn.Boldest() == conf.ResponderOnly {
		return
	}
	tries := "1 try"
	if l.try > 1 {
		tries = fmt.Sprintf("%d tries", l.try)
	}
	s.say(ike.Warning, l, "", fmt.Sprintf("given up after %s (keying_tries); traffic or `up` tries again", tries))
}
