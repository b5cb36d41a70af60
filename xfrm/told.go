//go:build linux

package xfrm

import (
	"sync"

	"github.com/goike/goike/esp"
)

// maxTold bounds the notices that wait while nobody watches.
const maxTold = 1 << 16

// tellings are notices that the plane makes itself, until Watch delivers them.
type tellings struct {
	wake chan struct{}
	mu   sync.Mutex
	list []esp.Notice
}

func (t *tellings) put(n esp.Notice) {
	t.mu.Lock()
	if len(t.list) < maxTold {
		t.list = append(t.list, n)
	}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *tellings) take() []esp.Notice {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.list
	t.list = nil
	return list
}
