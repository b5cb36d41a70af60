package control

import "sync"

// clients are those that are connected.
type clients struct {
	mu  sync.Mutex
	all map[*session]bool
}

func (c *clients) add(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[s] = true
}

func (c *clients) remove(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, s)
}

// dismiss disconnects the client that has been silent for longest among those that
// wait for nothing; it tells whether there was one.
func (c *clients) dismiss() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var idle *session
	for s := range c.all {
		if !s.busy.Load() && (idle == nil || s.heard.Load() < idle.heard.Load()) {
			idle = s
		}
	}
	if idle == nil {
		return false
	}
	delete(c.all, idle)
	_ = idle.conn.Close()
	return true
}
