package control

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// unnamed stands for the connection of an IKE SA that has not found its own yet.
const unnamed = "(unnamed)"

func nameOf(conn string) string {
	if conn == "" {
		return unnamed
	}
	return conn
}

var ikeStates = [...]string{
	ike.Created: "CREATED", ike.Connecting: "CONNECTING", ike.Up: "ESTABLISHED", ike.Rekeying: "REKEYING",
	ike.Rekeyed: "REKEYED", ike.Deleting: "DELETING",
}

var childStates = [...]string{
	ike.ChildCreated: "CREATED", ike.ChildInstalled: "INSTALLED", ike.ChildRekeying: "REKEYING",
	ike.ChildRekeyedState: "REKEYED", ike.ChildDeleting: "DELETING",
}

// word is the word for a value, its number where there is none.
func word[T ~uint8](words []string, v T) string {
	if int(v) < len(words) {
		return words[v]
	}
	return strconv.Itoa(int(v))
}

// usedChild is a child with what it has carried; nil where nobody has asked.
type usedChild struct {
	ike.ChildStatus
	usage *ChildUsage
}

// listSAs streams the IKE SAs as list-sa events.
func listSAs(ctx context.Context, s *session, args *Message) *Message {
	filter, err := newSAFilter(args)
	if err != nil {
		return done(err)
	}
	return done(s.streamSAs(ctx, "list-sa", filter, addSA))
}

// saFilter says which SAs are wanted; zero values want all.
type saFilter struct {
	ike, child     string
	ikeID, childID uint64
}

func newSAFilter(args *Message) (saFilter, error) {
	f := saFilter{ike: args.Get("ike"), child: args.Get("child")}
	n, err := number(args, "ike-id", 0)
	if err != nil {
		return f, err
	}
	f.ikeID = uint64(n)
	n, err = number(args, "child-id", 0)
	f.childID = uint64(n)
	return f, err
}

func (f saFilter) wants(sa SA) bool {
	return (f.ike == "" || f.ike == sa.Conn) && (f.ikeID == 0 || f.ikeID == sa.ID)
}

// children are the wanted children of an SA.
func (f saFilter) children(sa SA) []usedChild {
	var out []usedChild
	for i, c := range sa.Children {
		if f.child != "" && f.child != c.Name || f.childID != 0 && f.childID != c.ID {
			continue
		}
		u := usedChild{ChildStatus: c}
		if i < len(sa.Usage) {
			u.usage = &sa.Usage[i]
		}
		out = append(out, u)
	}
	return out
}

// streamSAs sends an event for each wanted IKE SA by its unique ID. add fills the
// section of an SA with some of its children.
func (s *session) streamSAs(ctx context.Context, event string, f saFilter, add func(*Message, ike.Instant, ike.Status, []usedChild)) error {
	now := s.server.backend.Now()
	sas := s.server.backend.SAs(ctx)
	slices.SortFunc(sas, func(a, b SA) int { return int(min(max(int64(a.ID-b.ID), -1), 1)) })
	for _, sa := range sas {
		if !f.wants(sa) {
			continue
		}
		err := stream(ctx, s, event, f.children(sa), func(children []usedChild) *Message {
			m := &Message{}
			add(m.AddSection(nameOf(sa.Conn)), now, sa.Status, children)
			return m
		})
		if err != nil {
			return fmt.Errorf("IKE SA #%d of %s: %w", sa.ID, nameOf(sa.Conn), err)
		}
	}
	return nil
}

// addSA fills the section of an IKE SA.
func addSA(m *Message, now ike.Instant, st ike.Status, children []usedChild) {
	addIKE(m, now, st)
	list := m.AddSection("child-sas")
	for _, c := range children {
		addChild(list.AddSection(childKey(c.ChildStatus)), now, c)
	}
}

func childKey(c ike.ChildStatus) string { return c.Name + "-" + strconv.FormatUint(c.ID, 10) }

// addIKE adds what is to be said of an IKE SA itself.
func addIKE(m *Message, now ike.Instant, st ike.Status) {
	setInt(m, "uniqueid", st.ID)
	setInt(m, "version", st.Version)
	m.Set("state", word(ikeStates[:], st.State))
	addEnd(m, "local", st.Path.Local, st.LocalID)
	addEnd(m, "remote", st.Path.Remote, st.RemoteID)
	setYes(m, "initiator", st.Initiator)
	m.Set("initiator-spi", fmt.Sprintf("%016x", st.SPIi))
	m.Set("responder-spi", fmt.Sprintf("%016x", st.SPIr))
	setYes(m, "nat-local", st.NATLocal)
	setYes(m, "nat-remote", st.NATRemote)
	setYes(m, "nat-fake", st.ForceEncap)
	setYes(m, "nat-any", st.NATLocal || st.NATRemote || st.ForceEncap)
	addSuite(m, st.Suite)
	if st.State == ike.Up {
		addAge(m, "established", now, st.Established)
		addLeft(m, "rekey-time", now, st.RekeyAt)
	}
	if len(st.Queued) > 0 {
		m.SetList("tasks-queued", st.Queued...)
	}
	if len(st.Active) > 0 {
		m.SetList("tasks-active", st.Active...)
	}
}

func addEnd(m *Message, side string, at netip.AddrPort, who id.ID) {
	addAddress(m, side, at)
	m.Set(side+"-id", idWord(who))
}

func addAddress(m *Message, side string, at netip.AddrPort) {
	host := "%any"
	if at.IsValid() && !at.Addr().IsUnspecified() {
		host = at.Addr().Unmap().String()
	}
	m.Set(side+"-host", host)
	setInt(m, side+"-port", at.Port())
}

func idWord(who id.ID) string {
	if who.Kind == id.Any {
		return "%any"
	}
	return who.String()
}

// addSuite adds the algorithms that there are. A group of number 0 is none.
func addSuite(m *Message, s crypto.Suite) {
	addAlg(m, "encr-alg", "encr-keysize", s.Encr)
	addAlg(m, "integ-alg", "integ-keysize", s.Integ)
	addAlg(m, "prf-alg", "", s.PRF)
	addAlg(m, "dh-group", "", s.KE)
}

func addAlg(m *Message, name, keysize string, a crypto.Alg) {
	if a == (crypto.Alg{}) || a.ID == 0 {
		return
	}
	m.Set(name, a.StrongSwanName())
	if a.KeyBits != 0 && keysize != "" {
		setInt(m, keysize, a.KeyBits)
	}
}

// addAge adds for how many seconds something has been.
func addAge(m *Message, name string, now, since ike.Instant) {
	if since != ike.Never {
		setInt(m, name, seconds(now.Sub(since)))
	}
}

// addLeft adds in how many seconds something will be.
func addLeft(m *Message, name string, now, at ike.Instant) {
	if at != ike.Never {
		setInt(m, name, seconds(at.Sub(now)))
	}
}

func seconds(d time.Duration) int64 { return max(int64(d/time.Second), 0) }

// addChild adds what is to be said of a child SA.
func addChild(m *Message, now ike.Instant, c usedChild) {
	addChildAs(m, now, c, word(childStates[:], c.State))
}

func addChildAs(m *Message, now ike.Instant, c usedChild, state string) {
	m.Set("name", c.Name)
	setInt(m, "uniqueid", c.ID)
	setInt(m, "reqid", c.ReqID)
	m.Set("state", state)
	m.Set("mode", modeWord(c.Mode))
	m.Set("protocol", c.Proto.String())
	setYes(m, "encap", c.Encap)
	if c.SPIIn != 0 {
		m.Set("spi-in", fmt.Sprintf("%08x", c.SPIIn))
	}
	if c.SPIOut != 0 {
		m.Set("spi-out", fmt.Sprintf("%08x", c.SPIOut))
	}
	if c.CPIIn != 0 {
		m.Set("cpi-in", fmt.Sprintf("%04x", c.CPIIn))
	}
	if c.CPIOut != 0 {
		m.Set("cpi-out", fmt.Sprintf("%04x", c.CPIOut))
	}
	suite := c.Suite
	suite.PRF = crypto.Alg{}
	addSuite(m, suite)
	if suite.ESN.ID == crypto.ESNYes && suite.ESN.Type == crypto.ESN {
		m.Set("esn", "1")
	}
	if c.usage != nil {
		addUsage(m, "in", c.usage.In.Bytes, c.usage.In.Packets, c.usage.In.LastUse)
		addUsage(m, "out", c.usage.Out.Bytes, c.usage.Out.Packets, c.usage.Out.LastUse)
	}
	addLeft(m, "rekey-time", now, c.RekeyAt)
	addLeft(m, "life-time", now, c.ExpireAt)
	addAge(m, "install-time", now, c.Installed)
	m.SetList("local-ts", selectors(c.Local)...)
	m.SetList("remote-ts", selectors(c.Remote)...)
}

// addUsage adds what an SA has carried. When it last did is only there if it did.
func addUsage(m *Message, dir string, octets, packets uint64, lastUse time.Duration) {
	setInt(m, "bytes-"+dir, octets)
	setInt(m, "packets-"+dir, packets)
	if packets > 0 && lastUse >= 0 {
		setInt(m, "use-"+dir, seconds(lastUse))
	}
}

func modeWord(mode conf.Mode) string {
	return word([]string{"TUNNEL", "TRANSPORT", "BEET", "PASS", "DROP"}, mode)
}

func selectors(list []wire.Selector) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = ts.Word(s)
	}
	return out
}
