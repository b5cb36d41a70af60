package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// logEvents are what log follows.
var logEvents = []string{"log", "ike-updown", "child-updown", "ike-rekey", "child-rekey"}

func (a *app) logCommand() *cobra.Command {
	level := 1
	c := &cobra.Command{
		Use:   "log",
		Short: "Follow the log and the events of the daemon until Ctrl-C",
		Args:  exactly(0, "no arguments"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.log(c, level) },
	}
	c.Flags().IntVar(&level, "level", level, "show lines up to this level: 0 what matters most, 1 each step, 2 to 4 detail")
	return c
}

func (a *app) log(c *cobra.Command, level int) error {
	if level < 0 || level > 4 {
		return usageError{fmt.Errorf("--level %d: the levels are 0 to 4", level)}
	}
	client, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	err = client.Subscribe(c.Context(), logEvents, func(event string, m *control.Message) { a.logged(event, m, level) })
	if errors.Is(err, control.ErrClosed) {
		return fmt.Errorf("the daemon at %s has ended", a.socket)
	}
	return err
}

// logged prints one event.
func (a *app) logged(event string, m *control.Message, level int) {
	now := a.now()
	if event == "log" {
		l := readLogLine(m)
		switch {
		case l.Level > level:
		case a.json:
			l.Event, l.Time = event, &now
			_ = printJSON(a.out, l, false)
		default:
			a.logText(now, l.withConn(), plain)
		}
		return
	}
	for conn, s := range m.Sections() {
		e := readEvent(event, m, conn, s)
		if a.json {
			e.Time = now
			_ = printJSON(a.out, e, false)
			continue
		}
		a.logText(now, e.String(), e.style())
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

// saEvent is an event about an SA. Old and New are set for rekeyings.
type saEvent struct {
	Event    string            `json:"event"`
	Time     time.Time         `json:"time"`
	Up       bool              `json:"up"`
	SA       *control.SAStatus `json:"ike_sa,omitempty"`
	OldSA    *control.SAStatus `json:"old_ike_sa,omitempty"`
	NewSA    *control.SAStatus `json:"new_ike_sa,omitempty"`
	OldChild *control.ChildSA  `json:"old_child_sa,omitempty"`
	NewChild *control.ChildSA  `json:"new_child_sa,omitempty"`
	conn     string
}

func readEvent(event string, m *control.Message, conn string, s *control.Message) saEvent {
	e := saEvent{Event: event, Up: m.Get("up") == "yes", conn: conn}
	if event == "ike-rekey" {
		older, newer := control.ReadSA(conn, s.Section("old")), control.ReadSA(conn, s.Section("new"))
		e.OldSA, e.NewSA, e.Up = &older, &newer, true
		return e
	}
	if event == "child-rekey" {
		for _, both := range s.Section("child-sas").Sections() {
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
	case e.OldSA != nil:
		return fmt.Sprintf("%s: %s #%d is replaced by #%d", e.Event, e.conn, e.OldSA.ID, e.NewSA.ID)
	case e.OldChild != nil:
		return fmt.Sprintf("%s: %s/%s #%d is replaced by #%d, SPIs %s in, %s out",
			e.Event, e.conn, e.NewChild.Name, e.OldChild.ID, e.NewChild.ID, e.NewChild.SPIIn, e.NewChild.SPIOut)
	case len(e.SA.Children) > 0:
		c := e.SA.Children[0]
		return fmt.Sprintf("%s: %s/%s #%d %s, SPIs %s in, %s out", e.Event, e.conn, c.Name, c.ID, word, c.SPIIn, c.SPIOut)
	}
	return fmt.Sprintf("%s: %s #%d %s, SPIs %s initiator, %s responder", e.Event, e.conn, e.SA.ID, word, e.SA.InitiatorSPI, e.SA.ResponderSPI)
}
