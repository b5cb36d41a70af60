// Package logging makes log lines: for people, or as JSON, with a level for each
// subsystem.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The attributes that the text form shows in places of their own.
const (
	Subsystem = "subsystem"
	Conn      = "conn"
	Child     = "child"
)

// Levels says from which level on lines are written.
type Levels struct {
	Default slog.Level
	Of      map[string]slog.Level // by subsystem
}

// ParseLevel reads a level word; "" is info.
func ParseLevel(word string) (slog.Level, error) {
	switch strings.ToLower(word) {
	case "debug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("unknown log level %q; there are debug, info, warn and error", word)
}

// ParseLevels reads a default level and those of subsystems.
func ParseLevels(word string, of map[string]string) (Levels, error) {
	all, err := ParseLevel(word)
	l := Levels{Default: all, Of: make(map[string]slog.Level, len(of))}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		level, e := ParseLevel(of[name])
		if e != nil && err == nil {
			err = fmt.Errorf("log level of %s: %w", name, e)
		}
		l.Of[name] = level
	}
	return l, err
}

// Control steers a logger while it is in use.
type Control struct {
	levels atomic.Pointer[Levels]
	json   atomic.Bool
}

// Set changes levels and form.
func (c *Control) Set(l Levels, json bool) {
	c.levels.Store(&l)
	c.json.Store(json)
}

// Enabled tells whether a line of a subsystem would be written.
func (c *Control) Enabled(subsystem string, level slog.Level) bool {
	l := c.levels.Load()
	if want, ok := l.Of[subsystem]; ok {
		return level >= want
	}
	return level >= l.Default
}

// New returns a logger that writes lines to w, each with one call, and what steers
// it.
func New(w io.Writer, l Levels, json bool) (*slog.Logger, *Control) {
	c := &Control{}
	c.Set(l, json)
	all := slog.Level(-128)
	return slog.New(&handler{control: c, out: w, json: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: all})}), c
}

// handler writes either form.
type handler struct {
	control *Control
	out     io.Writer
	json    slog.Handler
	place   place
	attrs   []slog.Attr
	group   string
}

// place is where a line comes from.
type place struct{ subsystem, conn, child string }

func (p *place) take(a slog.Attr) bool {
	switch a.Key {
	case Subsystem:
		p.subsystem = a.Value.String()
	case Conn:
		p.conn = a.Value.String()
	case Child:
		p.child = a.Value.String()
	default:
		return false
	}
	return true
}

// Enabled implements slog.Handler. The subsystem may still come with the line; the
// lowest level decides here.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	if h.place.subsystem != "" {
		return h.control.Enabled(h.place.subsystem, level)
	}
	l := h.control.levels.Load()
	lowest := l.Default
	for _, v := range l.Of {
		lowest = min(lowest, v)
	}
	return level >= lowest
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(as []slog.Attr) slog.Handler {
	n := *h
	n.json = h.json.WithAttrs(as)
	n.attrs = slices.Clone(h.attrs)
	for _, a := range as {
		if h.group != "" || !n.place.take(a) {
			a.Key = h.group + a.Key
			n.attrs = append(n.attrs, a)
		}
	}
	return &n
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	n := *h
	n.json = h.json.WithGroup(name)
	n.group = h.group + name + "."
	return &n
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	p := h.place
	r.Attrs(func(a slog.Attr) bool { _ = h.group == "" && p.take(a); return true })
	if !h.control.Enabled(p.subsystem, r.Level) {
		return nil
	}
	if h.control.json.Load() {
		return h.json.Handle(ctx, r)
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	*buf = h.appendText((*buf)[:0], p, r)
	_, err := h.out.Write(*buf)
	return err
}

// appendText writes time, level, subsystem, connection and message, and what else
// there is as key=value.
func (h *handler) appendText(b []byte, p place, r slog.Record) []byte {
	b = append(b, stamp(r.Time)...)
	b = append(b, ' ')
	b = appendPadded(b, strings.ToLower(r.Level.String()), 5)
	b = append(b, ' ')
	sub := p.subsystem
	if sub == "" {
		sub = "daemon"
	}
	b = appendPadded(b, sub, 6)
	b = append(b, ' ')
	if p.conn != "" {
		b = appendClean(b, p.conn)
		if p.child != "" {
			b = append(b, '/')
			b = appendClean(b, p.child)
		}
		b = append(b, ": "...)
	}
	b = appendClean(b, r.Message)
	for _, a := range h.attrs {
		b = appendAttr(b, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		if known := (place{}); h.group != "" || !known.take(a) {
			b = appendAttr(b, h.group, a)
		}
		return true
	})
	return append(b, '\n')
}

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z07:00") }

func appendPadded(b []byte, s string, width int) []byte {
	b = append(b, s...)
	for n := len(s); n < width; n++ {
		b = append(b, ' ')
	}
	return b
}

func appendAttr(b []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, m := range v.Group() {
			b = appendAttr(b, group+a.Key+".", m)
		}
		return b
	}
	if a.Equal(slog.Attr{}) {
		return b
	}
	b = append(b, ' ')
	b = append(b, group...)
	b = append(b, a.Key...)
	b = append(b, '=')
	s := v.String()
	if s == "" || strings.ContainsAny(s, " \"=") || !printable(s) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

func printable(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// appendClean writes text that may come from a peer: it must not break the line or
// steer the terminal.
func appendClean(b []byte, s string) []byte {
	if printable(s) {
		return append(b, s...)
	}
	for _, r := range s {
		if strconv.IsPrint(r) {
			b = append(b, string(r)...)
			continue
		}
		q := strconv.QuoteRune(r)
		b = append(b, q[1:len(q)-1]...)
	}
	return b
}
