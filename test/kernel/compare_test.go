//go:build linux

package kernel

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// explained are the differences between what goiked and strongSwan put into the
// kernel for the same configuration, and why there are any. "" is: not there.
var explained = map[string]string{
	"expire add": "goiked keeps soft limits of time itself; its hard limit is the lifetime, strongSwan's its rekey time and a tenth",
	"tmpl 0 SPI": "strongSwan writes the SPI of the SA into its policies out; goiked's find their SA by the request ID, and stay as they are when it is replaced",
	"tmpl 1 SPI": "as above",
	"dir":        "the kernel is told the direction of an SA, where it knows of one (from 6.10 on)",
}

// forwarded are policies that only goiked has: those for forwarded packets in
// transport mode, of which there are none.
func forwarded(key string, fields map[string]string) bool {
	return strings.HasPrefix(key, "policy fwd") && strings.Contains(fields["tmpl 0"], " transport")
}

// TestSameAsStrongSwan compares the SAs and policies of goiked and strongSwan,
// field by field, for the same configuration and peer.
func TestSameAsStrongSwan(t *testing.T) {
	for _, c := range []tunnelCase{
		{name: "tunnels, AES-GCM and AES-CBC, both families, ports", link: newLink("").with(func(k *link) {
			k.children = []child{
				{name: "lan", mode: "tunnel", esp: gcm, left: netA + "," + nets6A, right: netB + "," + nets6B},
				{name: "lan2", mode: "tunnel", esp: "aes128-sha256-esn", left: "10.1.1.0/24[tcp]", right: "10.2.1.0/24[tcp/443]",
					toml: "  replay_window = 128", swan: "replay_window = 128"},
			}
		})},
		{name: "transport, IPComp", link: newLink("").with(func(k *link) {
			k.children = []child{
				{name: "lan", mode: "transport", esp: "aes256-sha512"},
				{name: "lan2", mode: "tunnel", esp: gcm, ipcomp: true, left: netA, right: netB},
			}
		})},
		{name: "over IPv6, in UDP", link: newLink("").with(func(k *link) {
			k.v6, k.encap = true, true
			k.children = []child{
				{name: "lan", mode: "tunnel", esp: "chacha20poly1305", left: netA, right: netB},
				{name: "lan2", mode: "tunnel", esp: "aes128gcm16-esn", left: nets6A, right: nets6B},
			}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			k := c.link
			k.global = "[ipsec]\nexclude_my_network = false\n"
			k.swan = "rekey_time = 3h"
			a, b := w.ends(k)
			b.encap = false
			w.startSwan(t, b)
			var have [2]snapshot
			for i := range have {
				p := w.compared(t, a, i == 0)
				for _, child := range c.link.children {
					if err := p.Up(child.name); err != nil {
						t.Fatal(err)
					}
				}
				oneSA(t, p, len(c.link.children))
				have[i] = w.snapshot(t, a)
				_ = p.Down()
				p.Stop()
			}
			differ(t, have[0], have[1])
		})
	}
}

// compared starts strongSwan or goiked at the end.
func (w *world) compared(t *testing.T, e end, strong bool) lister {
	t.Helper()
	if strong {
		return w.startSwan(t, e)
	}
	w.stopSwan(t, e.at)
	return w.start(t, e)
}

// snapshot is what a daemon has installed, by what tells one thing from another:
// SPIs and request IDs are replaced, priorities by their order.
type snapshot struct {
	states, policies map[string]map[string]string
	order            []string // of the policies out, what is looked at first being first
}

func (w *world) snapshot(t *testing.T, e end) snapshot {
	t.Helper()
	s := snapshot{states: map[string]map[string]string{}, policies: map[string]map[string]string{}}
	ids := map[uint32]string{} // of the SAs: the algorithms tell the children apart
	for _, sa := range states(t, e.at) {
		alg := sa.fields["aead"] + sa.fields["enc"] + sa.fields["comp"]
		key := fmt.Sprintf("SA %s > %s %s %s", sa.src, sa.dst, sa.proto, alg)
		if _, twice := s.states[key]; twice {
			t.Errorf("two SAs are %s", key)
		}
		if sa.fields["comp"] == "" && sa.proto != "4" && sa.proto != "ipencap" {
			if id, known := ids[sa.reqid]; known && id != alg {
				t.Errorf("reqid %d is that of %s and %s", sa.reqid, id, alg)
			}
			ids[sa.reqid] = alg
		}
		fields := maps.Clone(sa.fields)
		delete(fields, "lastused")
		fields["mode"] = sa.mode
		s.states[key] = fields
	}
	all := policies(t, e.at)
	for _, p := range all {
		key := "policy " + p.dir + " " + p.selector
		if _, twice := s.policies[key]; twice {
			t.Errorf("two policies are %s", key)
		}
		fields := maps.Clone(p.fields)
		for i, tm := range p.tmpls {
			id, known := ids[tm.reqid]
			if !known {
				t.Errorf("%s has reqid %d, which no SA has", key, tm.reqid)
			}
			name := fmt.Sprint("tmpl ", i)
			fields[name] = fmt.Sprintf("%s > %s %s %s level %q of %s", tm.src, tm.dst, tm.proto, tm.mode, tm.level, id)
			fields[name+" SPI"] = strconv.FormatBool(tm.spi != 0)
		}
		s.policies[key] = fields
	}
	slices.SortStableFunc(all, func(a, b policy) int {
		if a.priority != b.priority {
			return int(int64(a.priority) - int64(b.priority))
		}
		return strings.Compare(a.selector, b.selector)
	})
	for _, p := range all {
		if p.dir == "out" {
			s.order = append(s.order, p.selector)
		}
	}
	return s
}

// differ reports every difference that is not explained.
func differ(t *testing.T, strong, goike snapshot) {
	t.Helper()
	diff(t, strong.states, goike.states)
	diff(t, strong.policies, goike.policies)
	if !slices.Equal(strong.order, goike.order) {
		t.Errorf("the policies are looked at in another order:\nstrongSwan %q\ngoiked     %q", strong.order, goike.order)
	}
}

func diff(t *testing.T, strong, goike map[string]map[string]string) {
	t.Helper()
	for key := range union(strong, goike) {
		x, y := strong[key], goike[key]
		if x == nil && forwarded(key, y) {
			continue
		}
		if x == nil || y == nil {
			t.Errorf("%s: strongSwan %v, goiked %v", key, x, y)
			continue
		}
		for field := range union(x, y) {
			if x[field] == y[field] {
				continue
			}
			why, ok := explained[field]
			if field == "flags" && (strings.Contains(key, "deflate") || strings.HasSuffix(key, " 4 ")) {
				why, ok = "strongSwan gives DF and ECN of inner packets to the outer header unless there is IPComp, goiked always", true
			}
			if ok {
				t.Logf("%s: %s: strongSwan %q, goiked %q: %s", key, field, x[field], y[field], why)
				continue
			}
			t.Errorf("%s: %s: strongSwan %q, goiked %q", key, field, x[field], y[field])
		}
	}
}

func union[V any](a, b map[string]V) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}
