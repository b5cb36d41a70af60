package conf

import (
	"crypto/subtle"
	"reflect"
	"slices"
	"strings"

	"github.com/goike/goike/crypto/id"
)

// Verdict is what becomes of a connection when a configuration is loaded again.
type Verdict uint8

// The verdicts.
const (
	Unchanged Verdict = iota
	Added
	Removed
	Changed
)

// String returns the word for logs.
func (v Verdict) String() string {
	return [...]string{"unchanged", "added", "removed", "changed"}[v&3]
}

// Change is the verdict on one connection. Keys names what changed, as the
// configuration names it: "lifetime", "phase2 lan: remote_network".
type Change struct {
	Name    string
	Verdict Verdict
	Keys    []string
}

// String returns a line for people: "branch changed (lifetime, phase2 lan: mode)".
func (c Change) String() string {
	s := c.Name + " " + c.Verdict.String()
	if len(c.Keys) > 0 {
		s += " (" + strings.Join(c.Keys, ", ") + ")"
	}
	return s
}

// Plan is what a new configuration does to the connections: those of the new
// configuration in its order, then the removed ones.
type Plan []Change

// Diff compares two configurations. It shows no value, so no secret.
func Diff(old, c *Config) Plan {
	before := make(map[string]*Connection, len(old.Connections))
	for _, conn := range old.Connections {
		before[conn.Name] = conn
	}
	plan := make(Plan, 0, len(c.Connections))
	kept := make(map[string]bool, len(c.Connections))
	for _, conn := range c.Connections {
		kept[conn.Name] = true
		plan = append(plan, compare(before[conn.Name], conn))
	}
	for _, conn := range old.Connections {
		if !kept[conn.Name] {
			plan = append(plan, Change{Name: conn.Name, Verdict: Removed})
		}
	}
	return plan
}

func compare(old, conn *Connection) Change {
	if old == nil {
		return Change{Name: conn.Name, Verdict: Added}
	}
	keys := append(changedKeys(connectionKeys, *old, *conn), changedChildren(old.Children, conn.Children)...)
	if len(keys) == 0 {
		return Change{Name: conn.Name}
	}
	return Change{Name: conn.Name, Verdict: Changed, Keys: keys}
}

// changedChildren names what is different in the children, in the order of the
// new ones.
func changedChildren(old, children []*Child) []string {
	var keys []string
	before := make(map[string]*Child, len(old))
	for _, c := range old {
		before[c.Name] = c
	}
	for _, c := range children {
		was, ok := before[c.Name]
		delete(before, c.Name)
		if !ok {
			keys = append(keys, "phase2 "+c.Name+" added")
			continue
		}
		for _, key := range changedKeys(childKeys, *was, *c) {
			keys = append(keys, "phase2 "+c.Name+": "+key)
		}
	}
	for _, c := range old {
		if before[c.Name] != nil {
			keys = append(keys, "phase2 "+c.Name+" removed")
		}
	}
	if len(keys) == 0 && !slices.EqualFunc(old, children, func(a, b *Child) bool { return a.Name == b.Name }) {
		keys = append(keys, "order of phase2")
	}
	return keys
}

// field is a key of the configuration and how to tell whether it was changed.
type field[T any] struct {
	key  string
	same func(a, b T) bool
}

// part compares the part of the model that a key sets.
func part[T any](of func(T) any) func(a, b T) bool {
	return func(a, b T) bool { return reflect.DeepEqual(of(a), of(b)) }
}

func changedKeys[T any](fields []field[T], old, v T) []string {
	var keys []string
	for _, f := range fields {
		if !f.same(old, v) {
			keys = append(keys, f.key)
		}
	}
	return keys
}

var connectionKeys = []field[Connection]{
	{"key_exchange", part(func(c Connection) any { return c.Version })},
	{"remote_gateway", part(func(c Connection) any { return c.Gateway })},
	{"local_address", part(func(c Connection) any { return [...]string{c.LocalAddr.String(), c.LocalInterface} })},
	{"remote port", part(func(c Connection) any { return c.RemotePort })},
	{"proposals", part(func(c Connection) any { return c.Proposals })},
	{"lifetime", part(func(c Connection) any { return c.Lifetime })},
	{"authentication", part(func(c Connection) any { return [...]AuthMethod{c.Local.Method, c.Remote.Method} })},
	{"identifier", part(func(c Connection) any { return []id.ID{c.Local.ID} })},
	{"peer_identifier", part(func(c Connection) any { return []id.ID{c.Remote.ID} })},
	{"pre_shared_key", func(a, b Connection) bool { return subtle.ConstantTimeCompare(a.PSK, b.PSK) == 1 }},
	{"connection_behavior", part(func(c Connection) any { return c.Behavior })},
	{"force_udp_encapsulation", part(func(c Connection) any { return c.ForceEncap })},
	{"keying_tries", part(func(c Connection) any { return c.KeyingTries })},
	{"rekey", part(func(c Connection) any { return c.Rekey })},
	{"margintime", part(func(c Connection) any { return c.Margin })},
	{"rekey_fuzz", part(func(c Connection) any { return c.RekeyFuzz })},
	{"dpd_action", part(func(c Connection) any { return c.DPDAction })},
	{"dpd_delay", part(func(c Connection) any { return c.DPDDelay })},
	{"dpd_failures", part(func(c Connection) any { return c.DPDFailures })},
	{"mobike", part(func(c Connection) any { return c.MOBIKE })},
	{"fragmentation", part(func(c Connection) any { return c.Fragmentation })},
	{"fragment_size", part(func(c Connection) any { return c.FragmentSize })},
	{"reauthenticate", part(func(c Connection) any { return c.Reauthenticate })},
	{"childless", part(func(c Connection) any { return c.Childless })},
	{"follow_redirects", part(func(c Connection) any { return c.FollowRedirects })},
	{"session_resumption", part(func(c Connection) any { return c.SessionResumption })},
	{"unique_ids", part(func(c Connection) any { return c.UniqueIDs })},
}

var childKeys = []field[Child]{
	{"description", part(func(c Child) any { return c.Description })},
	{"mode", part(func(c Child) any { return c.Mode })},
	{"local_network", part(func(c Child) any { return c.Local })},
	{"remote_network", part(func(c Child) any { return c.Remote })},
	{"protocol", part(func(c Child) any { return c.Protocol })},
	{"proposals", part(func(c Child) any { return c.Proposals })},
	{"lifetime", part(func(c Child) any { return c.Lifetime })},
	{"lifetime_bytes", part(func(c Child) any { return c.LifetimeBytes })},
	{"lifetime_packets", part(func(c Child) any { return c.LifetimePackets })},
	{"renewal", part(func(c Child) any { return c.Renewal })},
	{"inactivity", part(func(c Child) any { return c.Inactivity })},
	{"replay_window", part(func(c Child) any { return c.Window })},
	{"ipcomp", part(func(c Child) any { return c.IPComp })},
	{"mark_in", part(func(c Child) any { return c.Kernel.MarkIn })},
	{"mark_out", part(func(c Child) any { return c.Kernel.MarkOut })},
	{"mark_in_sa", part(func(c Child) any { return c.Kernel.MarkInSA })},
	{"set_mark_in", part(func(c Child) any { return c.Kernel.SetMarkIn })},
	{"set_mark_out", part(func(c Child) any { return c.Kernel.SetMarkOut })},
	{"if_id_in", part(func(c Child) any { return c.Kernel.IfIDIn })},
	{"if_id_out", part(func(c Child) any { return c.Kernel.IfIDOut })},
	{"hw_offload", part(func(c Child) any { return c.Kernel.Offload })},
	{"copy_df", part(func(c Child) any { return c.Kernel.NoCopyDF })},
	{"copy_ecn", part(func(c Child) any { return c.Kernel.NoCopyECN })},
	{"copy_dscp", part(func(c Child) any { return [...]bool{c.Kernel.CopyDSCPIn, c.Kernel.NoCopyDSCPOut} })},
	{"tfc_padding", part(func(c Child) any { return c.Kernel.TFCPad })},
	{"priority", part(func(c Child) any { return c.Kernel.Priority })},
}
