package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// saEvents are the events about SAs that log and events follow, stateEvents those that
// tell the same in other words, and more.
var (
	saEvents    = []string{"ike-updown", "child-updown", "ike-rekey", "child-rekey"}
	stateEvents = []string{"ike-update", "alert", "child-state-installing", "child-state-installed", "child-state-rekeyed", "child-state-destroying"}
)

// following is what is shown of what happens.
type following struct {
	events []string
	conn   string // empty: of all
	level  int    // of lines of the log
	noLog  bool   // events only
}

// wants tells whether a line of the log is shown. What the control server says of this
// client, such as that events were lost, always is.
func (f following) wants(l logLine) bool {
	switch {
	case l.Group == "VICI":
		return true
	case f.noLog || l.Level > f.level:
		return false
	}
	return f.conn == "" || l.Conn == f.conn || l.Conn == "" && strings.HasPrefix(l.Text, f.conn+"/")
}

func (a *app) logCommand() *cobra.Command {
	f := following{events: append([]string{"log"}, saEvents...), level: 1}
	c := &cobra.Command{
		Use:   "log [NAME]",
		Short: "Follow the log and the events of the daemon, or of a connection, until Ctrl-C",
		Args:  atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			f.conn = strings.Join(args, "")
			return a.follow(c, f)
		},
		ValidArgsFunction: a.completeConns,
	}
	c.Flags().IntVar(&f.level, "level", f.level, "show lines up to this level: 0 what matters most, 1 each step, 2 to 4 detail")
	return c
}

func (a *app) follow(c *cobra.Command, f following) error {
	if f.level < 0 || f.level > 4 {
		return usageError{fmt.Errorf("--level %d: the levels are 0 to 4", f.level)}
	}
	client, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	if err := a.hasConn(c.Context(), client, f.conn); err != nil {
		return err
	}
	return a.ended(client.Subscribe(c.Context(), f.events, func(event string, m *control.Message) { a.happened(event, m, f) }))
}

// ended is an error of what was to go on, in words for a daemon that is gone.
func (a *app) ended(err error) error {
	if errors.Is(err, control.ErrClosed) {
		return fmt.Errorf("the daemon at %s has ended", a.socket)
	}
	return err
}

// happened prints one event.
func (a *app) happened(event string, m *control.Message, f following) {
	now := a.now()
	if event == "log" {
		l := readLogLine(m)
		switch {
		case !f.wants(l):
		case a.json:
			l.Event, l.Time = event, &now
			_ = printJSON(a.out, l, false)
		default:
			a.logText(now, l.withConn(), plain)
		}
		return
	}
	for _, e := range readEvents(event, m) {
		switch {
		case f.conn != "" && e.conn != f.conn:
		case a.json:
			e.Time = now
			_ = printJSON(a.out, e, false)
		default:
			a.logText(now, e.String(), e.style())
		}
	}
}

// withConn is the line with its connection, if that is not in it already.
func (l logLine) withConn() string {
	if l.Conn != "" && !strings.HasPrefix(l.Text, l.Conn) {
		l.Text = l.Conn + ": " + l.Text
	}
	return l.String()
}

func (a *app) logText(now time.Time, text string, s style) {
	printer{a.out, a.color}.line(now.Format(time.TimeOnly)+" "+text, s)
}

// saEvent is an event about an SA. Old and New are set for rekeyings, the addresses
// for ike-update: the new ones.
type saEvent struct {
	versioned
	Event      string            `json:"event"`
	Time       time.Time         `json:"time"`
	Up         *bool             `json:"up,omitempty"`
	Alert      string            `json:"type,omitempty"`
	LocalHost  string            `json:"local_host,omitempty"`
	LocalPort  int64             `json:"local_port,omitempty"`
	RemoteHost string            `json:"remote_host,omitempty"`
	RemotePort int64             `json:"remote_port,omitempty"`
	SA         *control.SAStatus `json:"ike_sa,omitempty"`
	OldSA      *control.SAStatus `json:"old_ike_sa,omitempty"`
	NewSA      *control.SAStatus `json:"new_ike_sa,omitempty"`
	OldChild   *control.ChildSA  `json:"old_child_sa,omitempty"`
	NewChild   *control.ChildSA  `json:"new_child_sa,omitempty"`
	conn       string
}

// readEvents reads an event about SAs. An alert may be about none.
func readEvents(event string, m *control.Message) []saEvent {
	var out []saEvent
	sections := m
	if event == "alert" {
		if sections = m.Section("ike-sa"); sections == nil {
			return []saEvent{{versioned: current, Event: event, Alert: m.Get("type")}}
		}
	}
	for conn, s := range sections.Sections() {
		out = append(out, readEvent(event, m, conn, s))
	}
	return out
}

func readEvent(event string, m *control.Message, conn string, s *control.Message) saEvent {
	e := saEvent{versioned: current, Event: event, conn: conn}
	switch event {
	case "alert":
		e.Alert = m.Get("type")
	case "ike-update":
		to := control.ReadSA(conn, m)
		e.LocalHost, e.LocalPort, e.RemoteHost, e.RemotePort = to.LocalHost, to.LocalPort, to.RemoteHost, to.RemotePort
	case "ike-updown", "child-updown":
		up := m.Get("up") == "yes"
		e.Up = &up
	case "ike-rekey":
		older, newer := control.ReadSA(conn, s.Section("old")), control.ReadSA(conn, s.Section("new"))
		e.OldSA, e.NewSA = &older, &newer
		return e
	case "child-rekey":
		for _, both := range s.Section("child-sas").Sections() {
			older, newer := control.ReadChild(both.Section("old")), control.ReadChild(both.Section("new"))
			e.OldChild, e.NewChild = &older, &newer
		}
		s = withoutChildren(s)
	}
	sa := control.ReadSA(conn, s)
	e.SA = &sa
	return e
}

// withoutChildren is the section of an IKE SA without its children.
func withoutChildren(s *control.Message) *control.Message {
	m := &control.Message{}
	for name, v := range s.Values() {
		m.Set(name, v)
	}
	return m
}

// isUp tells whether an event is about something that is up from now on.
func (e saEvent) isUp() bool { return e.Up != nil && *e.Up }

func (e saEvent) style() style {
	switch {
	case e.Alert != "":
		return yellow
	case e.Up != nil && !*e.Up, e.Event == "child-state-destroying":
		return red
	case e.Event == "ike-update":
		return plain
	}
	return green
}

func (e saEvent) String() string {
	word := ""
	if e.Up != nil {
		word = map[bool]string{true: " up", false: " down"}[*e.Up]
	}
	switch {
	case e.Alert != "":
		return e.alertText()
	case e.OldSA != nil:
		return fmt.Sprintf("%s: %s #%d is replaced by #%d", e.Event, e.conn, e.OldSA.ID, e.NewSA.ID)
	case e.OldChild != nil:
		return fmt.Sprintf("%s: %s/%s #%d is replaced by #%d, SPIs %s in, %s out",
			e.Event, e.conn, e.NewChild.Name, e.OldChild.ID, e.NewChild.ID, e.NewChild.SPIIn, e.NewChild.SPIOut)
	case e.Event == "ike-update":
		return fmt.Sprintf("%s: %s #%d moves to %s === %s, from %s === %s", e.Event, e.conn, e.SA.ID, endpoint(e.LocalHost, e.LocalPort),
			endpoint(e.RemoteHost, e.RemotePort), endpoint(e.SA.LocalHost, e.SA.LocalPort), endpoint(e.SA.RemoteHost, e.SA.RemotePort))
	case len(e.SA.Children) > 0:
		c := e.SA.Children[0]
		return fmt.Sprintf("%s: %s/%s #%d%s, SPIs %s in, %s out", e.Event, e.conn, c.Name, c.ID, word, c.SPIIn, c.SPIOut)
	}
	return fmt.Sprintf("%s: %s #%d%s, SPIs %s initiator, %s responder", e.Event, e.conn, e.SA.ID, word, e.SA.InitiatorSPI, e.SA.ResponderSPI)
}

func (e saEvent) alertText() string {
	text := e.Event + ": "
	if e.SA == nil {
		return text + e.Alert
	}
	text += fmt.Sprintf("%s #%d %s", e.conn, e.SA.ID, e.Alert)
	if e.SA.RemoteHost != "" {
		text += ", peer " + endpoint(e.SA.RemoteHost, e.SA.RemotePort)
	}
	return text
}
