package logging

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func line(t *testing.T, l Levels, json bool, f func(*slog.Logger)) string {
	t.Helper()
	var b bytes.Buffer
	log, _ := New(&b, l, json)
	f(log)
	return regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)`).ReplaceAllString(b.String(), "TIME")
}

func TestText(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		f          func(*slog.Logger)
	}{
		{"plain", "TIME info  daemon ready\n", func(l *slog.Logger) { l.Info("ready") }},
		{"place", "TIME warn  ike    site: peer refused\n", func(l *slog.Logger) {
			l.Warn("peer refused", Subsystem, "ike", Conn, "site")
		}},
		{"child", "TIME error child  site/lan: gone n=3\n", func(l *slog.Logger) {
			l.With(Subsystem, "child", Conn, "site").Error("gone", Child, "lan", "n", 3)
		}},
		{"hostile", `TIME info  ike    evil \x1b[31m\nred id="a\nb"` + "\n", func(l *slog.Logger) {
			l.Info("evil \x1b[31m\nred", Subsystem, "ike", "id", "a\nb")
		}},
		{"group", "TIME info  daemon m g.a=1 g.b.c=\"x y\"\n", func(l *slog.Logger) {
			l.WithGroup("g").Info("m", "a", 1, slog.Group("b", "c", "x y"))
		}},
		{"level", "", func(l *slog.Logger) { l.Debug("not shown") }},
	} {
		if got := line(t, Levels{}, false, tc.f); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestLevelOfSubsystem(t *testing.T) {
	l, err := ParseLevels("warn", map[string]string{"ike": "debug"})
	if err != nil {
		t.Fatal(err)
	}
	got := line(t, l, false, func(l *slog.Logger) {
		l.Debug("one", Subsystem, "ike")
		l.Info("two", Subsystem, "child")
		l.With(Subsystem, "ike").Debug("three")
		l.With(Subsystem, "child").Info("four")
		l.Warn("five")
	})
	want := "TIME debug ike    one\nTIME debug ike    three\nTIME warn  daemon five\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if _, err := ParseLevels("loud", nil); err == nil {
		t.Error("unknown level accepted")
	}
	if _, err := ParseLevels("", map[string]string{"ike": "loud"}); err == nil || !strings.Contains(err.Error(), "ike") {
		t.Errorf("unknown level of a subsystem: %v", err)
	}
}

func TestJSON(t *testing.T) {
	got := line(t, Levels{}, true, func(l *slog.Logger) { l.Info("up", Subsystem, "ike", Conn, "site") })
	want := `{"time":"TIME","level":"INFO","msg":"up","subsystem":"ike","conn":"site"}` + "\n"
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestChangeWhileInUse(t *testing.T) {
	var b bytes.Buffer
	log, c := New(&b, Levels{}, false)
	log.Debug("one")
	c.Set(Levels{Default: slog.LevelDebug}, true)
	log.Debug("two")
	if got := b.String(); strings.Contains(got, "one") || !strings.Contains(got, `"msg":"two"`) {
		t.Errorf("got %q", got)
	}
}

// stuck blocks until it is let go.
type stuck struct {
	free chan struct{}
	got  bytes.Buffer
}

func (s *stuck) Write(b []byte) (int, error) { <-s.free; return s.got.Write(b) }

func TestWriterDoesNotWait(t *testing.T) {
	s := &stuck{free: make(chan struct{})}
	w := NewWriter(s, 100)
	for range 1000 {
		if _, err := w.Write([]byte("123456789\n")); err != nil {
			t.Fatal(err)
		}
	}
	close(s.free)
	w.Close()
	if n := strings.Count(s.got.String(), "123456789"); n < 10 || n > 20 {
		t.Errorf("%d lines written, want 10 to 20", n)
	}
	if !strings.Contains(s.got.String(), "lines lost") {
		t.Errorf("loss not told: %q", s.got.String())
	}
}

// broken fails.
type broken struct{ calls chan struct{} }

func (b broken) Write([]byte) (int, error) {
	b.calls <- struct{}{}
	return 0, errors.New("broken pipe")
}

func TestWriterSurvivesErrors(t *testing.T) {
	b := broken{make(chan struct{}, 10)}
	w := NewWriter(b, 100)
	_, _ = w.Write([]byte("x\n"))
	select {
	case <-b.calls:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing written")
	}
	w.Close()
}
