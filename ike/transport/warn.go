package transport

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// warnEvery is how long a kind of warning is not repeated.
const warnEvery = time.Minute

// limiter lets one warning of each kind through at a time. The kind is the error of
// the system, of which there are not many.
type limiter struct {
	out  func(string)     // may be nil
	now  func() time.Time // nil: time.Now
	mu   sync.Mutex
	seen map[syscall.Errno]*seen
}

type seen struct {
	last time.Time
	more int // that were not let through since
}

// warn says text, unless the like was said a moment ago.
func (l *limiter) warn(err error, text func() string) {
	if l.out == nil {
		return
	}
	more, ok := l.allow(err)
	switch {
	case !ok:
	case more > 0:
		l.out(fmt.Sprintf("%s (and %d more of the kind before)", text(), more))
	default:
		l.out(text())
	}
}

func (l *limiter) allow(err error) (more int, ok bool) {
	var kind syscall.Errno // 0: not of the system
	errors.As(err, &kind)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now
	if l.now != nil {
		now = l.now
	}
	s := l.seen[kind]
	if s == nil {
		if l.seen == nil {
			l.seen = make(map[syscall.Errno]*seen)
		}
		s = new(seen)
		l.seen[kind] = s
	} else if now().Sub(s.last) < warnEvery {
		s.more++
		return 0, false
	}
	more = s.more
	s.last, s.more = now(), 0
	return more, true
}
