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
		log.LogAttrs(context.Background(), level(r.Kind), r.Text, attrs...)
	}
}

// level is how much a report matters to an administrator.
func level(k ike.ReportKind) slog.Level {
	switch k {
	case ike.Step:
		return slog.LevelDebug
	case ike.Warning:
		return slog.LevelWarn
	case ike.Failed:
		return slog.LevelError
	}
	return slog.LevelInfo
}
