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

// The verdicts: of several the greatest counts.
const (
	// Unchanged: it reads as before and is not touched.
	Unchanged Verdict = iota
	// InPlace: SAs stay; what changed holds at once, or for what is negotiated next.
	InPlace
	// RekeyChild: the IKE SA stays; child SAs that changed are replaced by rekeying or,
	// where that cannot bring what is new, deleted and set up again.
	RekeyChild
	// Reauthenticate: the IKE SA is ended and set up anew, with its children.
	Reauthenticate
	Added
	Removed
)

// String returns the words for logs, screens and VICI.
func (v Verdict) String() string {
	words := [...]string{"unchanged", "in place", "rekey child", "reauthenticate", "add", "remove"}
	return wordOf(words[:], v)
}

// Change is the verdict on one connection. Keys names what changed, as the
// configuration names it: "lifetime", "phase2 lan: remote_network".
type Change struct {
	Name    string
	Verdict Verdict
	Keys    []string
}

// String returns a line for people: "branch: in place (lifetime, phase2 lan: description)".
func (c Change) String() string {
	s := c.Name + ": " + c.Verdict.String()
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
	return Compare(old, conn)
}

// Compare tells what becomes of a connection that reads otherwise, or as before. It
// compares secrets in constant time.
func Compare(old, conn *Connection) Change {
	c := Change{Name: conn.Name}
	if old == conn {
		return c
	}
	c.Keys, c.Verdict = changedKeys(connectionKeys, old, conn)
	keys, v := changedChildren(old.Children, conn.Children)
	c.Keys, c.Verdict = append(c.Keys, keys...), max(c.Verdict, v)
	return c
}

// CompareChild is Compare for a child: InPlace when its SAs stay, RekeyChild when
// rekeying them brings what is new, Reauthenticate when they have to be set up anew.
func CompareChild(old, child *Child) Verdict {
	_, v := changedKeys(childKeys, old, child)
	return v
}

// Keep puts the connections of old that read as before in the places of those of c, so
// that who holds one finds it unchanged without comparing. It returns a copy of c.
func (p Plan) Keep(old, c *Config) *Config {
	before := make(map[string]*Connection, len(old.Connections))
	for _, conn := range old.Connections {
		before[conn.Name] = conn
	}
	same := make(map[string]bool, len(p))
	for _, change := range p {
		same[change.Name] = change.Verdict == Unchanged
	}
	out := *c
	out.Connections = slices.Clone(c.Connections)
	for i, conn := range out.Connections {
		if was := before[conn.Name]; was != nil && same[conn.Name] {
			out.Connections[i] = was
		}
	}
	return &out
}

// changedChildren names what is different in the children, in the order of the
// new ones. What the IKE SA has nothing to do with does not touch it.
func changedChildren(old, children []*Child) (keys []string, verdict Verdict) {
	before := make(map[string]*Child, len(old))
	for _, c := range old {
		before[c.Name] = c
	}
	for _, c := range children {
		was, ok := before[c.Name]
		delete(before, c.Name)
		if !ok {
			keys, verdict = append(keys, "phase2 "+c.Name+" added"), max(verdict, RekeyChild)
			continue
		}
		changed, v := changedKeys(childKeys, was, c)
		verdict = max(verdict, min(v, RekeyChild))
		for _, key := range changed {
			keys = append(keys, "phase2 "+c.Name+": "+key)
		}
	}
	for _, c := range old {
		if before[c.Name] != nil {
			keys, verdict = append(keys, "phase2 "+c.Name+" removed"), max(verdict, RekeyChild)
		}
	}
	if len(keys) == 0 && !slices.EqualFunc(old, children, func(a, b *Child) bool { return a.Name == b.Name }) {
		keys, verdict = append(keys, "order of phase2"), InPlace
	}
	return keys, verdict
}

// field is a key of the configuration, how to tell whether it was changed, and what
// has to be done then.
type field[T any] struct {
	key  string
	same func(a, b *T) bool
	does func(a, b *T) Verdict // nil: Reauthenticate
}

// part compares the part of the model that a key sets.
func part[T any](of func(T) any) func(a, b *T) bool {
	return func(a, b *T) bool { return reflect.DeepEqual(of(*a), of(*b)) }
}

// does is a verdict that does not depend on what was changed to what.
func does[T any](v Verdict) func(a, b *T) Verdict { return func(*T, *T) Verdict { return v } }

// changedKeys names what is different and tells what has to be done.
func changedKeys[T any](fields []field[T], old, v *T) (keys []string, verdict Verdict) {
	for _, f := range fields {
		if f.same(old, v) {
			continue
		}
		keys = append(keys, f.key)
		if f.does == nil {
			verdict = Reauthenticate
			continue
		}
		verdict = max(verdict, f.does(old, v))
	}
	return keys, verdict
}

// childBehaviorVerdict is the same for a child whose behavior differs from that of the
// connection.
func childBehaviorVerdict(a, b *Child) Verdict {
	for _, c := range []*Child{a, b} {
		if c.Behavior == nil || *c.Behavior == ResponderOnly {
			return Reauthenticate
		}
	}
	return InPlace
}

// behaviorVerdict: who may begin changes nothing of SAs that are there; policies of a
// connection that waits for its peer are others.
func behaviorVerdict(a, b *Connection) Verdict {
	if a.Behavior == ResponderOnly || b.Behavior == ResponderOnly {
		return Reauthenticate
	}
	return InPlace
}

var connectionKeys = []field[Connection]{
	{"key_exchange", part(func(c Connection) any { return c.Version }), nil},
	{"remote_gateway", part(func(c Connection) any { return c.Gateways }), nil},
	{"local_address", part(func(c Connection) any { return [...]string{c.LocalAddr.String(), c.LocalInterface} }), nil},
	{"remote port", part(func(c Connection) any { return c.RemotePort }), nil},
	{"proposals", part(func(c Connection) any { return c.Proposals }), nil},
	{"lifetime", part(func(c Connection) any { return c.Lifetime }), does[Connection](InPlace)},
	{"authentication", part(func(c Connection) any { return [...]AuthMethod{c.Local.Method, c.Remote.Method} }), nil},
	{"identifier", part(func(c Connection) any { return []id.ID{c.Local.ID} }), nil},
	{"peer_identifier", part(func(c Connection) any { return []id.ID{c.Remote.ID} }), nil},
	{"pre_shared_key", func(a, b *Connection) bool { return subtle.ConstantTimeCompare(a.PSK, b.PSK) == 1 }, nil},
	{"connection_behavior", part(func(c Connection) any { return c.Behavior }), behaviorVerdict},
	{"force_udp_encapsulation", part(func(c Connection) any { return c.ForceEncap }), nil},
	{"keying_tries", part(func(c Connection) any { return c.KeyingTries }), does[Connection](InPlace)},
	{"rekey", part(func(c Connection) any { return c.Rekey }), does[Connection](InPlace)},
	{"margintime", part(func(c Connection) any { return c.Margin }), does[Connection](InPlace)},
	{"rekey_fuzz", part(func(c Connection) any { return c.RekeyFuzz }), does[Connection](InPlace)},
	{"dpd_action", part(func(c Connection) any { return c.DPDAction }), does[Connection](InPlace)},
	{"dpd_delay", part(func(c Connection) any { return c.DPDDelay }), does[Connection](InPlace)},
	{"dpd_failures", part(func(c Connection) any { return c.DPDFailures }), does[Connection](InPlace)},
	{"mobike", part(func(c Connection) any { return c.MOBIKE }), nil},
	{"fragmentation", part(func(c Connection) any { return c.Fragmentation }), nil},
	{"fragment_size", part(func(c Connection) any { return c.FragmentSize }), does[Connection](InPlace)},
	{"reauthenticate", part(func(c Connection) any { return c.Reauthenticate }), does[Connection](InPlace)},
	{"childless", part(func(c Connection) any { return c.Childless }), does[Connection](InPlace)},
	{"follow_redirects", part(func(c Connection) any { return c.FollowRedirects }), does[Connection](InPlace)},
	{"session_resumption", part(func(c Connection) any { return c.SessionResumption }), does[Connection](InPlace)},
	{"unique_ids", part(func(c Connection) any { return c.UniqueIDs }), does[Connection](InPlace)},
}

var childKeys = []field[Child]{
	{"description", part(func(c Child) any { return c.Description }), does[Child](InPlace)},
	{"mode", part(func(c Child) any { return c.Mode }), nil},
	{"local_network", part(func(c Child) any { return c.Local }), nil},
	{"remote_network", part(func(c Child) any { return c.Remote }), nil},
	{"protocol", part(func(c Child) any { return c.Protocol }), nil},
	{"proposals", part(func(c Child) any { return c.Proposals }), does[Child](RekeyChild)},
	{"lifetime", part(func(c Child) any { return c.Lifetime }), does[Child](RekeyChild)},
	{"lifetime_bytes", part(func(c Child) any { return c.LifetimeBytes }), does[Child](RekeyChild)},
	{"lifetime_packets", part(func(c Child) any { return c.LifetimePackets }), does[Child](RekeyChild)},
	{"renewal", part(func(c Child) any { return c.Renewal }), does[Child](RekeyChild)},
	{"connection_behavior", part(func(c Child) any { return c.Behavior }), childBehaviorVerdict},
	{"dpd_action", part(func(c Child) any { return c.DPDAction }), does[Child](InPlace)},
	{"inactivity", part(func(c Child) any { return c.Inactivity }), does[Child](RekeyChild)},
	{"replay_window", part(func(c Child) any { return c.Window }), does[Child](RekeyChild)},
	{"ipcomp", part(func(c Child) any { return c.IPComp }), nil},
	{"mark_in", part(func(c Child) any { return c.Kernel.MarkIn }), nil},
	{"mark_out", part(func(c Child) any { return c.Kernel.MarkOut }), nil},
	{"mark_in_sa", part(func(c Child) any { return c.Kernel.MarkInSA }), nil},
	{"set_mark_in", part(func(c Child) any { return c.Kernel.SetMarkIn }), nil},
	{"set_mark_out", part(func(c Child) any { return c.Kernel.SetMarkOut }), nil},
	{"if_id_in", part(func(c Child) any { return c.Kernel.IfIDIn }), nil},
	{"if_id_out", part(func(c Child) any { return c.Kernel.IfIDOut }), nil},
	{"hw_offload", part(func(c Child) any { return c.Kernel.Offload }), nil},
	{"copy_df", part(func(c Child) any { return c.Kernel.NoCopyDF }), nil},
	{"copy_ecn", part(func(c Child) any { return c.Kernel.NoCopyECN }), nil},
	{"copy_dscp", part(func(c Child) any { return [...]bool{c.Kernel.CopyDSCPIn, c.Kernel.NoCopyDSCPOut} }), nil},
	{"tfc_padding", part(func(c Child) any { return c.Kernel.TFCPad }), does[Child](RekeyChild)},
	{"priority", part(func(c Child) any { return c.Kernel.Priority }), nil},
}
