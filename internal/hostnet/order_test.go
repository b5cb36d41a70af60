//go:build linux

package hostnet

import (
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// event is a change of a route of ours.
type event struct {
	added bool
	dst   string
	hold  bool
}

// watch reports changes of our routes from now on. The function returned tells those
// until it is called.
func (h *host) watch() func() []event {
	h.t.Helper()
	updates := make(chan netlink.RouteUpdate, 1000)
	done := make(chan struct{})
	h.do(func() error { return netlink.RouteSubscribe(updates, done) })
	return func() []event {
		// A route of another table marks the end.
		h.ip("route add 203.0.113.0/24 dev eth0 table 99")
		h.ip("route del 203.0.113.0/24 dev eth0 table 99")
		var out []event
		for u := range updates {
			if u.Table == 99 {
				break
			}
			if u.Protocol == protocol {
				out = append(out, event{u.Type == unix.RTM_NEWROUTE, u.Dst.String(), u.Priority == metricHold})
			}
		}
		close(done)
		for range updates {
			continue // until the subscription has ended
		}
		return out
	}
}

// Only what differs is changed; what holds packets back comes first and goes last,
// and nothing is removed before all is added.
func TestOrderOfChanges(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	other := Route{Dst: prefix("10.4.0.0/16"), Local: route4.Local}
	h.set(r, both...)
	changes := h.watch()
	h.set(r, both...)
	h.set(r, route6, route4, route4)
	if got := changes(); len(got) != 0 {
		t.Errorf("setting the same again changed %+v", got)
	}
	changes = h.watch()
	h.set(r, route6, other)
	want := []event{
		{true, "10.4.0.0/16", true}, {true, "10.4.0.0/16", false},
		{false, "10.2.0.0/16", false}, {false, "10.2.0.0/16", true},
	}
	if got := changes(); !slices.Equal(got, want) {
		t.Errorf("changes %+v, want %+v", got, want)
	}
}
