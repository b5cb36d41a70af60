package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"
)

// What a terminal is told: another screen without a cursor, and back; the first place,
// and to erase what is behind the cursor, to the end of the line or of the screen.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	eraseLine   = "\x1b[K\n"
	eraseRest   = "\x1b[J"
)

// terminal is where what changes is drawn again and again.
type terminal interface {
	// size is how many columns and lines it has, 0: not known.
	size() (columns, lines int)
	// keys makes it hand over each key at once and unseen, also those that are signals
	// elsewhere, until restore is called, once: then it is what it was before. A terminal
	// that is gone is told by the key q.
	keys() (pressed <-chan byte, restore func())
}

const ctrlC = 3 // as a terminal sends it

// live draws every so often until ctx is done, the user presses q or Ctrl-C, or drawing fails. On a
// terminal each time in place of the last, else one below the other.
func (a *app) live(ctx context.Context, every time.Duration, draw func(context.Context, printer) error) error {
	var pressed <-chan byte
	if a.drawing() {
		keys, restore := a.screen.keys()
		pressed = keys
		_, _ = io.WriteString(a.out, enterScreen)
		defer func() {
			_, _ = io.WriteString(a.out, leaveScreen)
			restore()
		}()
	}
	next, stop := a.ticker(every)
	defer stop()
	for first := true; ; first = false {
		var b bytes.Buffer
		if err := draw(ctx, printer{&b, a.color}); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return a.ended(err)
		}
		if err := a.show(b.Bytes(), first); err != nil {
			return err
		}
	wait:
		for {
			select {
			case <-ctx.Done():
				return nil
			case key := <-pressed:
				if key == 'q' || key == 'Q' || key == ctrlC {
					return nil
				}
			case <-next:
				break wait
			}
		}
	}
}

// drawing tells whether each picture takes the place of the last.
func (a *app) drawing() bool { return a.screen != nil && !a.json }

// show puts a picture on the terminal, as much of it as there is room for.
func (a *app) show(picture []byte, first bool) error {
	if !a.drawing() {
		if !first && !a.json {
			picture = append([]byte("\n"), picture...)
		}
		_, err := a.out.Write(picture)
		return err
	}
	columns, n := a.screen.size()
	lines := strings.Split(strings.TrimSuffix(string(picture), "\n"), "\n")
	if n > 0 && len(lines) >= n {
		lines = lines[:n-1]
	}
	var frame strings.Builder
	frame.WriteString(toTop)
	for _, line := range lines {
		frame.WriteString(fitted(line, columns) + eraseLine)
	}
	frame.WriteString(eraseRest)
	_, err := io.WriteString(a.out, frame.String())
	return err
}

// fitted is as much of a line of clean text, with colors, as fits into columns; 0 is any
// number.
func fitted(line string, columns int) string {
	if columns <= 0 {
		return line
	}
	var b strings.Builder
	used, escape, colored := 0, false, false
	for _, r := range line {
		switch {
		case escape:
			escape = r != 'm'
		case r == '\x1b':
			escape, colored = true, true
		default:
			used += width(string(r))
		}
		if used > columns {
			if colored {
				b.WriteString("\x1b[0m")
			}
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// ticker ticks every so often; tests have one of their own.
func (a *app) ticker(every time.Duration) (<-chan time.Time, func()) {
	if a.ticks != nil {
		return a.ticks, func() {}
	}
	t := time.NewTicker(every)
	return t.C, t.Stop
}
