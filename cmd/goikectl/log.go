package main

import (
	"errors"
	"fmt"
	"slices"
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

func (a *app) eventsCommand() *cobra.Command {
	all := append(append([]string{}, saEvents...), stateEvents...)
	f := following{events: append(append([]string{}, saEvents...), "ike-update", "alert")}
	c := &cobra.Command{
		Use:   "events [NAME]",
		Short: "Follow what happens to the SAs of all connections, or of one, until Ctrl-C",
		Args:  atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			for _, name := range f.events {
				if !slices.Contains(all, name) {
					return usageError{fmt.Errorf("--type %s: there are %s", name, strings.Join(all, ", "))}
				}
			}
			f.conn = strings.Join(args, "")
			return a.follow(c, f)
		},
		ValidArgsFunction: a.completeConns,
	}
	c.Flags().StringSliceVar(&f.events, "type", f.events, "which events")
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
	err = client.Subscribe(c.Context(), f.events, func(event string, m *control.Message) { a.happened(event, m, f) })
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
		case l.Level > f.level, f.conn != "" && l.Conn != f.conn:
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

// saEvent is an event about an SA. Old and New are set for rekeyings, Type for alerts,
// the addresses for what has moved.
type saEvent struct {
	Event    string            `json:"event"`
	Time     time.Time         `json:"time"`
	Up       bool              `json:"up"`
	Type     string            `json:"type,omitempty"`
	Local    string            `json:"local_host,omitempty"`
	Remote   string            `json:"remote_host,omitempty"`
	SA       *control.SAStatus `json:"ike_sa,omitempty"`
	OldSA    *control.SAStatus `json:"old_ike_sa,omitempty"`
	NewSA    *control.SAStatus `json:"new_ike_sa,omitempty"`
	OldChild *control.ChildSA  `json:"old_child_sa,omitempty"`
	NewChild *control.ChildSA  `json:"new_child_sa,omitempty"`
	conn     string
}

// readEvents reads an event, which is about one IKE SA, or about none.
func readEvents(event string, m *control.Message) []saEvent {
	e := saEvent{
		Event: event, Up: m.Get("up") == "yes" || event == "ike-update" || strings.HasSuffix(event, "-installed"),
		Type: m.Get("type"), Local: m.Get("local-host"), Remote: m.Get("remote-host"),
	}
	sections := m
	if event == "alert" {
		if sections = m.Section("ike-sa"); sections == nil {
			return []saEvent{e}
		}
	}
	var out []saEvent
	for conn, s := range sections.Sections() {
		out = append(out, e.about(conn, s))
	}
	return out
}

// about is the event with the IKE SA that it is about.
func (e saEvent) about(conn string, s *control.Message) saEvent {
	e.conn = conn
	if e.Event == "ike-rekey" {
		older, newer := control.ReadSA(conn, s.Section("old")), control.ReadSA(conn, s.Section("new"))
		e.OldSA, e.NewSA, e.Up = &older, &newer, true
		return e
	}
	if children := s.Section("child-sas"); e.Event == "child-rekey" && children != nil {
		for _, both := range children.Sections() {
			older, newer := control.ReadChild(both.Section("old")), control.ReadChild(both.Section("new"))
			e.OldChild, e.NewChild, e.Up = &older, &newer, true
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

func (e saEvent) style() style {
	if e.Up {
		return green
	}
	return red
}

func (e saEvent) String() string {
	word := "down"
	if e.Up {
		word = "up"
	}
	switch {
	case e.SA == nil && e.OldSA == nil:
		return joined(": ", e.Event, e.Type)
	case e.Event == "alert":
		return fmt.Sprintf("%s: %s #%d with %s: %s", e.Event, e.conn, e.SA.ID, endpoint(e.SA.RemoteHost, e.SA.RemotePort), e.Type)
	case e.Event == "ike-update":
		return fmt.Sprintf("%s: %s #%d is between %s and %s now", e.Event, e.conn, e.SA.ID, e.Local, e.Remote)
	case e.OldSA != nil:
		return fmt.Sprintf("%s: %s #%d is replaced by #%d", e.Event, e.conn, e.OldSA.ID, e.NewSA.ID)
	case e.OldChild != nil:
		return fmt.Sprintf("%s: %s/%s #%d is replaced by #%d, SPIs %s in, %s out",
			e.Event, e.conn, e.NewChild.Name, e.OldChild.ID, e.NewChild.ID, e.NewChild.SPIIn, e.NewChild.SPIOut)
	case len(e.SA.Children) > 0:
		c := e.SA.Children[0]
		if strings.HasPrefix(e.Event, "child-state") {
			return fmt.Sprintf("%s: %s/%s #%d, SPIs %s in, %s out", e.Event, e.conn, c.Name, c.ID, c.SPIIn, c.SPIOut)
		}
		return fmt.Sprintf("%s: %s/%s #%d %s, SPIs %s in, %s out", e.Event, e.conn, c.Name, c.ID, word, c.SPIIn, c.SPIOut)
	}
	return fmt.Sprintf("%s: %s #%d %s, SPIs %s initiator, %s responder", e.Event, e.conn, e.SA.ID, word, e.SA.InitiatorSPI, e.SA.ResponderSPI)
}
