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
	"rekey":        rekey,
	"redirect":     redirect,
	"goike-status": status,
	"goike-reload": loading(reload),

	"goike-refused": refused,
	"goike-capture": capture,

	"install":       install,
	"uninstall":     uninstall,
	"list-policies": listPolicies,

	"get-algorithms": getAlgorithms,
	"get-counters":   getCounters,
	"reset-counters": resetCounters,

	"reload-settings": loading(reloadSettings),
	"load-conn":       loading(loadConn),
	"unload-conn":     loading(unloadConn),
	"get-conns":       listing("conns", Loader.LoadedConns),
	"load-shared":     loading(loadShared),
	"unload-shared":   loading(unloadShared),
	"get-shared":      listing("keys", Loader.LoadedShared),
	"clear-creds":     simply(Loader.ClearCreds),
	"flush-certs":     func(context.Context, *session, *Message) *Message { return success() }, // none are cached

	"load-cert":   refuse(noCertificates, need{"type", "certificate type missing"}, need{"data", "certificate data missing"}),
	"load-key":    refuse(noCertificates, need{"type", "key type missing"}, need{"data", "key data missing"}),
	"load-token":  refuse(noTokens, need{"handle", "keyid missing"}),
	"unload-key":  refuse("key not found", need{"id", "key id missing"}),
	"get-keys":    emptyList("keys"),
	"list-certs":  nothing,
	"load-pool":   refuseSections(noPools),
	"unload-pool": notThere("", " not found", need{"name", "missing pool name to unload"}),
	"get-pools":   nothing,

	"load-authority":   refuseSections(noAuthorities),
	"unload-authority": notThere("unload: authority '", "' not found", need{"name", "unload: missing authority name"}),
	"get-authorities":  emptyList("authorities"),
	"list-authorities": nothing,
}

// streamEvents are the events that come with a command, which has to be under way.
var streamEvents = map[string]bool{
	"list-sa": true, "list-policy": true, "list-conn": true, "list-cert": true, "list-authority": true,
	"control-log": true, "goike-conn": true, "goike-sa": true, captureEvent: true,
}

// backendEvents are those that tell what happens, and need a subscription to the backend.
var backendEvents = map[string]bool{
	"log": true, "alert": true, "ike-updown": true, "ike-rekey": true, "ike-update": true, "child-updown": true, "child-rekey": true,
	"child-state-installing": true, "child-state-installed": true, "child-state-rekeyed": true, "child-state-destroying": true,
}

// knownEvent tells whether a client may register for an event.
func knownEvent(name string) bool { return streamEvents[name] || backendEvents[name] }

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

// outcome is the answer of a command that has nothing to tell but whether it worked.
func outcome(err error) *Message {
	if err != nil {
		return failure(err)
	}
	return success()
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
