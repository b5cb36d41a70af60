package control

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"
)

// commands are the commands by name.
var commands = map[string]func(context.Context, *session, *Message) *Message{
	"version":      version,
	"stats":        stats,
	"list-sas":     listSAs,
	"list-conns":   listConns,
	"initiate":     initiate,
	"terminate":    terminate,
	"redirect":     redirect,
	"goike-status": status,
	"goike-reload": reload,

	// Nothing of the kind can be loaded, which is what these answers say.
	"get-conns":        emptyList("conns"),
	"get-keys":         emptyList("keys"),
	"get-shared":       emptyList("keys"),
	"get-authorities":  emptyList("authorities"),
	"get-pools":        nothing,
	"list-certs":       nothing,
	"list-authorities": nothing,
}

// knownEvents are the events that a client may register for.
var knownEvents = map[string]bool{
	"list-sa": true, "list-conn": true, "list-cert": true, "list-authority": true,
	"control-log": true, "goike-conn": true, "goike-sa": true,
	"log": true, "ike-updown": true, "child-updown": true, "ike-rekey": true, "child-rekey": true,
}

// backendEvents are those that need a subscription to the backend.
var backendEvents = map[string]bool{
	"log": true, "ike-updown": true, "child-updown": true, "ike-rekey": true, "child-rekey": true,
}

func nothing(context.Context, *session, *Message) *Message { return &Message{} }

func emptyList(name string) func(context.Context, *session, *Message) *Message {
	return func(context.Context, *session, *Message) *Message {
		m := &Message{}
		m.SetList(name)
		return m
	}
}

func success() *Message {
	m := &Message{}
	m.Set("success", "yes")
	return m
}

func failure(err error) *Message {
	m := &Message{}
	m.Set("success", "no")
	m.Set("errmsg", err.Error())
	return m
}

// done is the answer that ends a stream.
func done(err error) *Message {
	if err != nil {
		return failure(err)
	}
	return &Message{}
}

func version(_ context.Context, s *session, _ *Message) *Message {
	i := s.server.backend.Info()
	m := &Message{}
	m.Set("daemon", i.Daemon)
	m.Set("version", i.Version)
	m.Set("sysname", i.System)
	m.Set("release", i.Release)
	m.Set("machine", i.Machine)
	return m
}

// stats has strongSwan's keys. Where goike has no such notion the value is what
// comes nearest: work has two priorities, and timed jobs are the deadlines of IKE
// SAs, one each.
func stats(_ context.Context, s *session, _ *Message) *Message {
	st := s.server.backend.Stats()
	m := &Message{}
	up := m.AddSection("uptime")
	up.Set("running", running(time.Since(st.Started)))
	up.Set("since", st.Started.Local().Format("Jan 02 15:04:05 2006"))
	workers := m.AddSection("workers")
	setInt(workers, "total", st.Workers)
	setInt(workers, "idle", st.Idle)
	setPriorities(workers.AddSection("active"), st.Workers-st.Idle)
	setPriorities(m.AddSection("queues"), st.Queued)
	setInt(m, "scheduled", st.IKESAs)
	sas := m.AddSection("ikesas")
	setInt(sas, "total", st.IKESAs)
	setInt(sas, "half-open", st.HalfOpen)
	m.SetList("plugins")
	own := m.AddSection("goike")
	own.Set("dataplane", s.server.backend.Info().Dataplane)
	setInt(own, "goroutines", st.Goroutines)
	setCounters(own.AddSection("drops"), st.Dropped)
	setCounters(own.AddSection("plane"), st.Plane)
	return m
}

func setPriorities(m *Message, medium int) {
	for _, p := range []string{"critical", "high", "medium", "low"} {
		n := 0
		if p == "medium" {
			n = medium
		}
		setInt(m, p, n)
	}
}

func setCounters(m *Message, counters map[string]uint64) {
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		setInt(m, name, counters[name])
	}
}

func setInt[T int | int64 | uint16 | uint32 | uint64](m *Message, name string, n T) {
	if n < 0 {
		m.Set(name, strconv.FormatInt(int64(n), 10))
		return
	}
	m.Set(name, strconv.FormatUint(uint64(n), 10))
}

// setYes sets what is only there when it is so.
func setYes(m *Message, name string, is bool) {
	if is {
		m.Set(name, "yes")
	}
}

// setText sets what is only there when there is something to say.
func setText(m *Message, name, value string) {
	if value != "" {
		m.Set(name, value)
	}
}

// running writes a duration in one unit, of which there are more than two.
func running(d time.Duration) string {
	n, unit := int64(d/time.Second), " seconds"
	switch {
	case d > 48*time.Hour:
		n, unit = int64(d/(24*time.Hour)), " days"
	case d > 2*time.Hour:
		n, unit = int64(d/time.Hour), " hours"
	case d > 2*time.Minute:
		n, unit = int64(d/time.Minute), " minutes"
	}
	return strconv.FormatInt(max(n, 0), 10) + unit
}

// number reads a numeric argument.
func number(m *Message, name string, absent int64) (int64, error) {
	if !m.Has(name) {
		return absent, nil
	}
	n, err := strconv.ParseInt(m.Get(name), 10, 64)
	if err != nil {
		return 0, errors.New(name + " = " + strconv.Quote(m.Get(name)) + " is not a number")
	}
	return n, nil
}
