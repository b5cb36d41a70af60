//go:build linux

package hostnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Change tells what kinds of things have changed in the host's network, and what it is
// now. That may be what it was before.
type Change struct {
	Links, Addresses, Routes bool
	Snapshot
}

// A change is told when nothing more has come for so long, or so long after it came.
// When the host cannot be looked at that is tried again, so often.
const (
	quiet     = 100 * time.Millisecond
	atMost    = time.Second
	lookAgain = time.Second
	lookTries = 5
)

// Watch tells sink what changes in the host's network until ctx is done: interfaces,
// addresses, routes and routing rules. Our own routes and rules are no news. What
// comes together is told together, within about a second; what there is at the start is
// told, too, since it may have changed since it was looked at. The interfaces that exclude
// names are left out of snapshots, as tunnel interfaces of ours are. The error says
// that the host's network cannot be watched; the end of ctx is none.
func Watch(ctx context.Context, sink func(Change), exclude ...string) error {
	n, err := listen()
	if err != nil {
		return fmt.Errorf("the host's network cannot be watched (netlink): %w", err)
	}
	defer n.close()
	l, err := newLooker(exclude)
	if err != nil {
		return err
	}
	defer l.close()
	defer context.AfterFunc(ctx, func() { _ = n.file.SetReadDeadline(time.Unix(1, 0)) })()
	w := watcher{news: n, looker: l, sink: sink}
	w.note(everything)
	for ctx.Err() == nil && err == nil {
		err = w.step(ctx)
	}
	return err
}

// watcher gathers changes until they are told.
type watcher struct {
	news   *news
	looker *looker
	sink   func(Change)

	seen        changes
	first, last time.Time // of what was seen
	failed      int       // how often the host could not be looked at in a row
}

// step waits for one thing: a change, the time to tell of it, or the end of ctx.
func (w *watcher) step(ctx context.Context) error {
	_ = w.news.file.SetReadDeadline(w.due())
	if ctx.Err() != nil { // its end has set a deadline that was overwritten
		return nil
	}
	size, err := w.news.file.Read(w.news.buf[:])
	switch {
	case err == nil:
		w.note(changesIn(w.news.buf[:size]))
	case errors.Is(err, unix.ENOBUFS): // something was lost
		w.note(everything)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("watching the host's network (netlink): %w", err)
	case ctx.Err() == nil:
		return w.tell()
	}
	return nil
}

// due is when the changes are to be told, never when there are none.
func (w *watcher) due() time.Time {
	switch {
	case w.seen == 0:
		return time.Time{}
	case w.failed > 0:
		return w.last.Add(lookAgain)
	}
	due := w.last.Add(quiet)
	if limit := w.first.Add(atMost); limit.Before(due) {
		return limit
	}
	return due
}

func (w *watcher) note(c changes) {
	c &^= ours
	if c == 0 {
		return
	}
	w.last = time.Now()
	if w.seen == 0 {
		w.first = w.last
	}
	w.seen |= c
}

func (w *watcher) tell() error {
	s, err := w.looker.look()
	if err != nil {
		if w.failed++; w.failed >= lookTries {
			return err
		}
		w.last = time.Now()
		return nil
	}
	c := Change{Links: w.seen&links != 0, Addresses: w.seen&addresses != 0, Routes: w.seen&(routes|rules) != 0, Snapshot: s}
	w.seen, w.failed = 0, 0
	w.sink(c)
	return nil
}
