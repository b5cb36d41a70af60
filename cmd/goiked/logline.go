//go:build linux

package main

import (
	"context"
	"log/slog"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/internal/logging"
)

// reporter logs what the engine reports.
func reporter(log *slog.Logger) func(ike.Report) {
	return func(r ike.Report) {
		attrs := make([]slog.Attr, 0, 4)
		subsystem := engine.SubsystemIKE
		if r.Child != "" {
			subsystem = engine.SubsystemChild
		}
		attrs = append(attrs, slog.String(logging.Subsystem, subsystem))
		if r.Conn != "" {
			attrs = append(attrs, slog.String(logging.Conn, r.Conn))
		}
		if r.Child != "" {
			attrs = append(attrs, slog.String(logging.Child, r.Child))
		}
		if r.Conn == "" && r.Path.Remote.IsValid() {
			attrs = append(attrs, slog.String("peer", r.Path.Remote.String()))
		}
		log.LogAttrs(context.Background(), level(r), r.Text, attrs...)
	}
}

// level is how much a report matters to an administrator. What strangers fail at is
// no error of this host, and what was ended by command is none at all.
func level(r ike.Report) slog.Level {
	switch r.Kind {
	case ike.Step:
		return slog.LevelDebug
	case ike.Warning:
		return slog.LevelWarn
	case ike.Failed:
		switch {
		case r.Why != nil && r.Why.Cause == ike.Terminated:
			return slog.LevelInfo
		case r.Conn == "":
			return slog.LevelWarn
		}
		return slog.LevelError
	}
	return slog.LevelInfo
}
