package main

import (
	"bytes"
	"context"
	"io"
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
	// size is how many lines it has, 0: not known.
	size() int
	// keys makes it hand over each key at once, until restore is called.
	keys() (pressed <-chan byte, restore func())
}

// live draws every so often until ctx is done, the user presses q, or drawing fails. On a
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
			return err
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
				if key == 'q' || key == 'Q' {
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
	lines := bytes.SplitAfter(picture, []byte("\n"))
	if n := a.screen.size(); n > 0 && len(lines) > n {
		lines = lines[:n-1]
	}
	frame := []byte(toTop)
	for _, line := range lines {
		if text, whole := bytes.CutSuffix(line, []byte("\n")); whole {
			frame = append(append(frame, text...), eraseLine...)
		} else {
			frame = append(frame, line...)
		}
	}
	_, err := a.out.Write(append(frame, eraseRest...))
	return err
}

// ticker ticks every so often; tests have one of their own.
func (a *app) ticker(every time.Duration) (<-chan time.Time, func()) {
	if a.ticks != nil {
		return a.ticks, func() {}
	}
	t := time.NewTicker(every)
	return t.C, t.Stop
}
