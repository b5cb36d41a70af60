package toml

import (
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// Note is something that the reader of a written configuration should know about a
// connection, about one of its children, or, with neither, about all of it.
type Note struct {
	Conn, Child string
	Text        string
}

// Write writes a configuration in goike's own format: only what is not the default, each
// note as a comment above what it is about. What it writes is read back as it was, but
// that times at random are in whole percent; what the format cannot say is an error that
// names connection and setting.
func Write(w io.Writer, c *conf.Config, notes ...Note) error {
	out := &writer{notes: notes}
	out.comments("", "", "")
	out.daemon(c)
	for _, conn := range c.Connections {
		out.phase1(conn)
	}
	for _, s := range c.Secrets {
		out.secret(s)
	}
	if len(out.errs) > 0 {
		return fmt.Errorf("goike.toml cannot say %s", strings.Join(out.errs, "; "))
	}
	_, err := io.WriteString(w, out.b.String())
	return err
}

type writer struct {
	b      strings.Builder
	notes  []Note
	errs   []string
	what   string // the connection or child that is written
	indent string
}

// comments writes the notes about something.
func (w *writer) comments(indent, conn, child string) {
	for _, n := range w.notes {
		if n.Conn == conn && n.Child == child {
			for line := range strings.SplitSeq(strings.ToValidUTF8(n.Text, "?"), "\n") {
				fmt.Fprintf(&w.b, "%s# %s\n", indent, strings.Map(harmless, line))
			}
		}
	}
}

// harmless replaces what TOML does not allow in a comment.
func harmless(r rune) rune {
	if r < ' ' && r != '\t' || r == 0x7f {
		return '?'
	}
	return r
}

// key writes a key and its value.
func (w *writer) key(name, value string) { fmt.Fprintf(&w.b, "%s%s = %s\n", w.indent, name, value) }

// changed writes a key whose value is not the default.
func changed[T comparable](w *writer, name string, is, otherwise T, text func(T) string) {
	if is != otherwise {
		w.key(name, text(is))
	}
}

func (w *writer) impossible(format string, args ...any) {
	w.errs = append(w.errs, w.what+": "+fmt.Sprintf(format, args...))
}

func named[T fmt.Stringer](v T) string { return quote(v.String()) }

func yes(b bool) string           { return strconv.FormatBool(b) }
func whole(n int) string          { return strconv.Itoa(n) }
func whole64(n uint64) string     { return strconv.FormatUint(n, 10) }
func text(s string) string        { return quote(s) }
func long(d time.Duration) string { return quote(conf.FormatDuration(d)) }

// delay is a duration of which 0 is none.
func delay(d time.Duration) string {
	if d == 0 {
		return `"0s"`
	}
	return long(d)
}

// quote writes a basic string (TOML 1.0).
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// list writes one string, or several as a list.
func list(words []string) string {
	if len(words) == 1 {
		return quote(words[0])
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// section writes what fill writes, below a heading if that is anything.
func (w *writer) section(name string, fill func()) {
	before := w.b.Len()
	heading := "[" + name + "]\n"
	if before > 0 {
		heading = "\n" + heading
	}
	w.b.WriteString(heading)
	after := w.b.Len()
	if fill(); w.b.Len() == after {
		kept := w.b.String()[:before]
		w.b.Reset()
		w.b.WriteString(kept)
	}
}

func (w *writer) daemon(c *conf.Config) {
	d := conf.Default()
	w.what = "the daemon"
	w.section("ipsec", func() {
		if len(c.ConfFiles) > 0 {
			w.key("configuration_mode", quote("advanced"))
			w.key("conf_files", list(c.ConfFiles))
		}
		changed(w, "unique_ids", c.UniqueIDs, d.UniqueIDs, named)
		changed(w, "exclude_my_network", c.ExcludeMyNetwork, d.ExcludeMyNetwork, yes)
		changed(w, "make_before_break", c.MakeBeforeBreak, d.MakeBeforeBreak, yes)
	})
	w.section("network", func() {
		changed(w, "route_based", c.Network.RouteBased, d.Network.RouteBased, yes)
		changed(w, "install_routes", c.Network.InstallRoutes, d.Network.InstallRoutes, yes)
	})
	w.section("dataplane", func() { changed(w, "backend", c.Dataplane, d.Dataplane, named) })
	w.section("control", func() { changed(w, "socket", c.Control.Socket, d.Control.Socket, text) })
	w.section("metrics", func() { changed(w, "listen", c.Metrics.Listen, d.Metrics.Listen, text) })
	w.section("log", func() { w.log(c.Log, d.Log) })
	w.section("retransmit", func() {
		changed(w, "timeout", c.Retransmit.Timeout, d.Retransmit.Timeout, long)
		changed(w, "base", c.Retransmit.Base, d.Retransmit.Base, func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) })
		changed(w, "tries", c.Retransmit.Tries, d.Retransmit.Tries, whole)
	})
	w.section("limits", func() {
		changed(w, "cookie", c.Limits.Cookie, d.Limits.Cookie, whole)
		changed(w, "per_address", c.Limits.PerAddress, d.Limits.PerAddress, whole)
		changed(w, "total", c.Limits.Total, d.Limits.Total, whole)
	})
}

func (w *writer) log(l, d conf.Log) {
	changed(w, "level", l.Level, d.Level, text)
	if l.JSON != d.JSON {
		w.key("format", quote("json"))
	}
	var levels []string
	for _, name := range conf.Subsystems {
		if level := l.Levels[name]; level != "" {
			levels = append(levels, name+" = "+quote(level))
		}
	}
	if len(levels) > 0 {
		w.key("levels", "{ "+strings.Join(levels, ", ")+" }")
	}
}

func (w *writer) phase1(c *conf.Connection) {
	d := conf.DefaultConnection()
	w.what = "connection " + c.Name
	if w.b.Len() > 0 {
		w.b.WriteByte('\n')
	}
	w.comments("", c.Name, "")
	w.b.WriteString("[[phase1]]\n")
	w.key("name", quote(c.Name))
	changed(w, "key_exchange", c.Version, d.Version, named)
	w.key("remote_gateway", list(c.Gateways.Words()))
	changed(w, "remote_port", int(c.RemotePort), int(d.RemotePort), whole)
	switch {
	case c.LocalInterface != "":
		w.key("local_address", quote(c.LocalInterface))
	case c.LocalAddr.IsValid():
		w.key("local_address", quote(c.LocalAddr.String()))
	}
	w.proposals(c.Proposals, reflect.DeepEqual(c.Proposals, crypto.DefaultProposals(crypto.IKE)), crypto.IKE)
	changed(w, "lifetime", c.Lifetime, d.Lifetime, long)
	changed(w, "local_auth", c.Local.Method, d.Local.Method, named)
	changed(w, "remote_auth", c.Remote.Method, d.Remote.Method, named)
	if len(c.PSK) > 0 {
		w.key("pre_shared_key", w.psk(c.PSK))
	}
	if c.Local.ID.Kind != id.Any {
		w.identity("identifier", c.Local.ID)
	}
	if c.Remote.ID != conf.GatewayID(c.Gateways) {
		w.identity("peer_identifier", c.Remote.ID)
	}
	changed(w, "connection_behavior", c.Behavior, d.Behavior, named)
	changed(w, "force_udp_encapsulation", c.ForceEncap, d.ForceEncap, yes)
	changed(w, "keying_tries", c.KeyingTries, d.KeyingTries, whole)
	changed(w, "rekey", c.Rekey, d.Rekey, yes)
	changed(w, "margintime", c.Margin, d.Margin, delay)
	changed(w, "rekey_fuzz", c.RekeyFuzz, d.RekeyFuzz, whole)
	changed(w, "dpd_action", c.DPDAction, d.DPDAction, named)
	changed(w, "dpd_delay", c.DPDDelay, d.DPDDelay, delay)
	changed(w, "dpd_failures", c.DPDFailures, d.DPDFailures, whole)
	changed(w, "mobike", c.MOBIKE, d.MOBIKE, yes)
	changed(w, "fragmentation", c.Fragmentation, d.Fragmentation, yes)
	changed(w, "fragment_size", c.FragmentSize, d.FragmentSize, whole)
	changed(w, "reauthenticate", c.Reauthenticate, d.Reauthenticate, yes)
	changed(w, "childless", c.Childless, d.Childless, named)
	changed(w, "follow_redirects", c.FollowRedirects, d.FollowRedirects, yes)
	changed(w, "session_resumption", c.SessionResumption, d.SessionResumption, yes)
	if c.UniqueIDs != nil {
		w.key("unique_ids", named(*c.UniqueIDs))
	}
	for _, child := range c.Children {
		w.phase2(c, child)
	}
}

// proposals writes them as words, and checks that they are read as what they are.
func (w *writer) proposals(ps []crypto.Proposal, byDefault bool, proto crypto.Proto) {
	if byDefault {
		return
	}
	words := make([]string, len(ps))
	for i, p := range ps {
		words[i] = p.String()
		if again, err := crypto.ParseProposal(proto, words[i]); err != nil || again.String() != words[i] {
			w.impossible("proposal %s", words[i])
		}
	}
	w.key("proposals", list(words))
}

// identity writes one with its type in front where it would be read as another without.
func (w *writer) identity(key string, i id.ID) {
	s := i.String()
	if i.Kind == id.Any {
		s = "%any"
	}
	for _, prefix := range []string{"", "fqdn:", "userfqdn:", "keyid:", "asn1dn:"} {
		if again, err := id.Parse(prefix + s); err == nil && again == i {
			w.key(key, quote(prefix+s))
			return
		}
	}
	if again, err := id.Parse("@#" + hex.EncodeToString([]byte(i.Data))); err == nil && again == i {
		w.key(key, quote("@#"+hex.EncodeToString([]byte(i.Data))))
		return
	}
	w.impossible("%s %s", key, i)
}

// psk writes a key as text where that reads back as it is, else in hexadecimal.
func (w *writer) psk(key crypto.Secret) string {
	plain := !slices.ContainsFunc(key, func(b byte) bool { return b < ' ' || b > '~' })
	if again, err := conf.ParseSecret(key); plain && err == nil && slices.Equal(again, key) {
		return quote(string(key)) //nolint:unconvert // it would print redacted
	}
	return quote("0x" + hex.EncodeToString(key))
}

func (w *writer) secret(s conf.Secret) {
	w.what = "a secret"
	if w.b.Len() > 0 {
		w.b.WriteByte('\n')
	}
	w.b.WriteString("[[secret]]\n")
	if len(s.Owners) > 0 {
		owners := &writer{what: w.what}
		for _, o := range s.Owners {
			owners.identity("x", o)
		}
		w.errs = append(w.errs, owners.errs...)
		words := strings.Split(strings.TrimSpace(owners.b.String()), "\n")
		for i, line := range words {
			words[i] = strings.TrimPrefix(line, "x = ")
		}
		w.key("owners", "["+strings.Join(words, ", ")+"]")
	}
	w.key("key", w.psk(s.Key))
}

func (w *writer) phase2(conn *conf.Connection, c *conf.Child) {
	d := conf.DefaultChild()
	w.what = "child " + c.Name + " of connection " + conn.Name
	w.b.WriteByte('\n')
	w.comments("  ", conn.Name, c.Name)
	w.b.WriteString("  [[phase1.phase2]]\n")
	w.indent = "  "
	defer func() { w.indent = "" }()
	w.key("name", quote(c.Name))
	changed(w, "description", c.Description, d.Description, text)
	changed(w, "mode", c.Mode, d.Mode, named)
	w.networks("local_network", c.Local)
	w.networks("remote_network", c.Remote)
	if !c.Mode.Shunt() {
		w.associations(conn, c, d)
	}
	w.kernel(c.Kernel, d.Kernel)
}

func (w *writer) networks(key string, list []conf.Selector) {
	if len(list) == 0 {
		return
	}
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = quote(s.String())
	}
	if len(words) == 1 {
		w.key(key, words[0])
		return
	}
	w.key(key, "["+strings.Join(words, ", ")+"]")
}

// associations writes what is about the SAs of a child.
func (w *writer) associations(conn *conf.Connection, c, d *conf.Child) {
	if c.Protocol != d.Protocol {
		w.key("protocol", quote("ah"))
	}
	changed(w, "lifetime", c.Lifetime, d.Lifetime, long)
	changed(w, "lifetime_bytes", c.LifetimeBytes, d.LifetimeBytes, whole64)
	changed(w, "lifetime_packets", c.LifetimePackets, d.LifetimePackets, whole64)
	w.renewal(conn, c)
	if c.Behavior != nil {
		w.key("connection_behavior", named(*c.Behavior))
	}
	if c.DPDAction != nil {
		w.key("dpd_action", named(*c.DPDAction))
	}
	changed(w, "inactivity", c.Inactivity, d.Inactivity, long)
	w.proposals(c.Proposals, c.DefaultProposals, c.Protocol)
	changed(w, "replay_window", uint64(c.Window), uint64(d.Window), whole64)
	changed(w, "ipcomp", c.IPComp, d.IPComp, yes)
}

// renewal writes when the SAs are replaced, unless the connection says the same.
func (w *writer) renewal(conn *conf.Connection, c *conf.Child) {
	if c.Renewal == nil {
		return
	}
	r := *c.Renewal
	without := *c
	without.Renewal = nil
	as := conn.RenewalOf(&without)
	fuzz := percent(r, conn.RekeyFuzz)
	w.key("margintime", delay(r.Margin)) // always, so that it is the tunnel's own
	changed(w, "rekey_fuzz", fuzz, conn.RekeyFuzz, whole)
	changed(w, "margin_bytes", r.BytesMargin, as.BytesMargin, whole64)
	changed(w, "margin_packets", r.PacketsMargin, as.PacketsMargin, whole64)
}

// percent is what part of the margin the jitter is: of the time, else of octets or
// packets, else what is said otherwise.
func percent(r conf.Renewal, otherwise int) int {
	for _, part := range []struct{ margin, jitter float64 }{
		{float64(r.Margin), float64(r.Jitter)}, {float64(r.BytesMargin), float64(r.BytesJitter)}, {float64(r.PacketsMargin), float64(r.PacketsJitter)},
	} {
		if part.margin > 0 {
			return min(int(part.jitter*100/part.margin+0.5), 1000)
		}
	}
	return otherwise
}

func (w *writer) kernel(k, d conf.Kernel) {
	mark := func(m conf.Mark) string { return quote(m.String()) }
	whole32 := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	changed(w, "mark_in", k.MarkIn, d.MarkIn, mark)
	changed(w, "mark_out", k.MarkOut, d.MarkOut, mark)
	changed(w, "mark_in_sa", k.MarkInSA, d.MarkInSA, yes)
	changed(w, "set_mark_in", k.SetMarkIn, d.SetMarkIn, mark)
	changed(w, "set_mark_out", k.SetMarkOut, d.SetMarkOut, mark)
	changed(w, "if_id_in", k.IfIDIn, d.IfIDIn, whole32)
	changed(w, "if_id_out", k.IfIDOut, d.IfIDOut, whole32)
	changed(w, "hw_offload", k.Offload, d.Offload, named)
	changed(w, "copy_df", !k.NoCopyDF, !d.NoCopyDF, yes)
	changed(w, "copy_ecn", !k.NoCopyECN, !d.NoCopyECN, yes)
	changed(w, "copy_dscp", dscp{k.CopyDSCPIn, k.NoCopyDSCPOut}, dscp{d.CopyDSCPIn, d.NoCopyDSCPOut}, func(x dscp) string {
		return quote(map[dscp]string{{}: "out", {true, true}: "in", {true, false}: "yes", {false, true}: "no"}[x])
	})
	changed(w, "tfc_padding", k.TFCPad, d.TFCPad, func(n uint16) string {
		if n == conf.MaxTFCPad {
			return quote("mtu")
		}
		return whole(int(n))
	})
	changed(w, "priority", k.Priority, d.Priority, whole32)
}
