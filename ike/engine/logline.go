package engine

import (
	"strings"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// The subsystems of log lines: what phase 1 and phase 2 say.
const (
	SubsystemIKE   = "ike"
	SubsystemChild = "child"
)

// logLine makes a report a line. The levels are strongSwan's: 0 is always shown, 1
// is what an administrator wants, 2 is detail.
func logLine(r ike.Report) control.LogLine {
	l := control.LogLine{Level: 1, Subsystem: SubsystemIKE, Conn: r.Conn, IKE: r.IKE, Text: r.Text}
	if r.Child != "" {
		l.Subsystem = SubsystemChild
		l.Text = r.Conn + "/" + r.Child + ": " + r.Text
	}
	if r.Kind == ike.Failed || r.Kind == ike.Warning {
		l.Level = 0
	}
	l.Text = strings.TrimSpace(l.Text)
	return l
}
