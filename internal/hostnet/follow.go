//go:build linux

package hostnet

import (
	"context"
	"time"
)

// Changes come in crowds: one is waited for so long until more of its crowd are there.
// Bringing the routes up to date is to take no more than a share of the time.
const (
	gather = 100 * time.Millisecond
	share  = 10
)

// follow brings the routes up to date when the host's network has changed. It ends
// with Close.
func (r *Routes) follow() {
	pause := gather
	for r.news.wait() == nil {
		select {
		case <-r.done:
			return
		case <-time.After(pause):
		}
		start := time.Now()
		r.update()
		pause = max(gather, share*time.Since(start))
	}
}

// update brings the routes up to date. Its errors become warnings, each once.
func (r *Routes) update() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.seen |= r.news.read()
	var err error
	switch {
	case r.seen == 0:
		return
	case r.isSet:
		err = r.apply(context.Background())
	case r.seen&rules != 0: // what was left stays as it is, and in force
		err = r.keepRules()
	}
	text := ""
	if err != nil {
		text = "routes do not follow a change of the network: " + err.Error()
	}
	if text != r.complain && text != "" {
		r.opts.Warn(text)
	}
	r.complain = text
}
