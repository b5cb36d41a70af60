package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/ike/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const fakeNow = ike.Instant(100000 * time.Second)

// fake is a Backend that shows what it is told to. It has no more of one than goikectl
// uses.
type fake struct {
	control.Backend
	mu         sync.Mutex
	sas        []control.SA
	config     *conf.Config
	conns      []control.ConnState
	steps      []control.LogLine
	refused    []control.Refused
	err        error
	matches    int
	initiated  []control.InitiateRequest
	terminated []control.TerminateRequest
	redirected []control.RedirectRequest
	rekeyed    []control.RekeyRequest
	after      func() // called when a rekey has been answered
	policies   []control.Policy
	counters   control.Counters
	resets     []string
	during     func(ctx context.Context) // called by Initiate
	recorded   []control.Captured
	sinks      map[int]func(control.Event)
	serial     int
}

func (f *fake) Info() control.Info {
	return control.Info{Daemon: "goike", Version: "1.2.3", System: "Linux", Release: "6.1", Machine: "x86_64", Dataplane: "userspace (asked for)"}
}
func (f *fake) Stats() control.Stats { return control.Stats{} }
func (f *fake) Now() ike.Instant     { return fakeNow }

func (f *fake) SAs(context.Context) []control.SA {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]control.SA(nil), f.sas...)
}

func (f *fake) Config() *conf.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := *f.config
	c.Connections = nil
	for _, conn := range f.config.Connections {
		copied := *conn
		c.Connections = append(c.Connections, &copied)
	}
	return &c
}

func (f *fake) Conns() []control.ConnState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

// set changes what the fake shows while it is served.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) Initiate(ctx context.Context, r control.InitiateRequest, log func(control.LogLine)) error {
	f.mu.Lock()
	f.initiated = append(f.initiated, r)
	steps, during, err := f.steps, f.during, f.err
	f.mu.Unlock()
	for _, l := range steps {
		log(l)
	}
	if during != nil {
		during(ctx)
	}
	return err
}

func (f *fake) Terminate(_ context.Context, r control.TerminateRequest, log func(control.LogLine)) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.terminated = append(f.terminated, r)
	for _, l := range f.steps {
		log(l)
	}
	return f.matches, f.err
}

func (f *fake) Subscribe(sink func(control.Event)) (cancel func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
	n := f.serial
	f.sinks[n] = sink
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.sinks, n)
	}
}

// Capture gives what is recorded, and then waits.
func (f *fake) Capture(ctx context.Context, _ control.CaptureRequest, sink func(control.Captured) error) error {
	f.mu.Lock()
	recorded := append([]control.Captured{{}}, f.recorded...)
	f.mu.Unlock()
	for _, c := range recorded {
		if err := sink(c); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *fake) publish(ev control.Event) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, sink := range f.sinks {
		sink(ev)
	}
	return len(f.sinks)
}

func (f *fake) requests() ([]control.InitiateRequest, []control.TerminateRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.initiated, f.terminated
}

func suite(p crypto.Proto, words string) crypto.Suite {
	proposal, err := crypto.ParseProposal(p, words)
	if err != nil {
		panic(err)
	}
	s, _, miss := crypto.Select([]crypto.Proposal{proposal}, []crypto.Proposal{proposal})
	if miss != nil {
		panic(words)
	}
	return s
}

func network(s string) conf.Selector {
	sel, err := conf.ParseSelector(s)
	if err != nil {
		panic(err)
	}
	return sel
}

func traffic(list ...string) []wire.Selector {
	var out []wire.Selector
	for _, s := range list {
		n := network(s)
		out = append(out, wire.Selector{Proto: n.Proto, StartPort: n.PortFirst, EndPort: n.PortLast, Start: n.First, End: n.Last})
	}
	return out
}

func fqdn(s string) id.ID { return id.ID{Kind: id.FQDN, Data: s} }

func host(s string) conf.Gateways {
	a := netip.MustParseAddr(s)
	return conf.Gateways{{Prefix: netip.PrefixFrom(a, a.BitLen())}}
}

func at(seconds int) ike.Instant { return fakeNow.Add(time.Duration(seconds) * time.Second) }

// newFake has one connection of every kind.
func newFake() *fake {
	lan := &conf.Child{Name: "lan", Description: "both offices", Protocol: crypto.ESP, Local: []conf.Selector{network("10.1.0.0/16"), network("fd01:0:0:1::/64")},
		Remote: []conf.Selector{network("10.2.0.0/16"), network("fd02:0:0:1::/64")}}
	voice := &conf.Child{Name: "voice", Protocol: crypto.ESP, Local: []conf.Selector{network("10.1.9.0/24[udp/5060]")}, Remote: []conf.Selector{network("10.2.9.1-10.2.9.20")}}
	all := &conf.Child{Name: "all", Protocol: crypto.ESP, Local: []conf.Selector{network("10.1.0.0/16")}, Remote: []conf.Selector{network("0.0.0.0/0")}}
	hosts := &conf.Child{Name: "hosts", Mode: conf.Transport, Protocol: crypto.ESP}
	return &fake{
		sinks: make(map[int]func(control.Event)), sas: sampleSAs(),
		config: &conf.Config{Connections: []*conf.Connection{
			{Name: "site", Version: conf.IKEv2, LocalAddr: netip.MustParseAddr("192.0.2.2"), Gateways: host("198.51.100.2"), Local: conf.Auth{ID: fqdn("a.example.org")},
				Remote: conf.Auth{ID: fqdn("b.example.org")}, PSK: crypto.Secret("very secret"), KeyingTries: 3, Children: []*conf.Child{lan, voice}},
			{Name: "hq", Gateways: conf.Gateways{{Host: "hq.example.org"}}, LocalInterface: "eth0", Local: conf.Auth{ID: fqdn("a.example.org")}, KeyingTries: 3, Children: []*conf.Child{all}},
			{Name: "büro 東京", Gateways: host("2001:db8::7"), Local: conf.Auth{ID: fqdn("tokyo.example.org")}, KeyingTries: 0, Children: []*conf.Child{all}},
			{Name: "road", Gateways: conf.Gateways{{Any: true}}, Behavior: conf.ResponderOnly, Local: conf.Auth{ID: fqdn("a.example.org")}, Children: []*conf.Child{all}},
			{Name: "lab", Gateways: host("203.0.113.9"), Behavior: conf.OnDemand, Children: []*conf.Child{hosts}},
		}},
		conns: []control.ConnState{
			{Conn: "site", State: "up", NextTry: ike.Never, LastAt: ike.Never},
			{Conn: "hq", State: "waiting", Try: 2, NextTry: at(12), LastAt: at(-4), LastError: &ike.Refusal{
				Cause: ike.NoProposal, ByPeer: true, Notify: "NO_PROPOSAL_CHOSEN", Offered: "aes256gcm16-prfsha256-x25519",
				Hint: "compare with the peer's phase 1 settings"}},
			{Conn: "büro 東京", State: "connecting", Try: 7, NextTry: ike.Never, LastAt: at(-3725), LastError: &ike.Refusal{Cause: ike.NoAnswer, Err: "3 tries"}},
			{Conn: "road", State: "listening", NextTry: ike.Never, LastAt: ike.Never},
			{Conn: "lab", State: "on-demand", NextTry: ike.Never, LastAt: ike.Never},
		},
	}
}

// sampleSAs are the SAs of site, two of road, and one of no connection.
func sampleSAs() []control.SA {
	child := ike.ChildStatus{
		ID: 2, Name: "lan", ReqID: 1, State: ike.ChildInstalled, Proto: crypto.ESP, Encap: true, SPIIn: 0xd53b77cc, SPIOut: 0x0c8571df,
		Suite: suite(crypto.ESP, "aes256gcm16"), Local: traffic("10.1.0.0/16", "fd01:0:0:1::/64"), Remote: traffic("10.2.0.0/16", "fd02:0:0:1::/64"),
		Installed: at(-75), RekeyAt: at(3382), ExpireAt: at(3950),
	}
	site := ike.Status{
		ID: 1, Conn: "site", Version: 2, State: ike.Up, Initiator: true, SPIi: 0x0afeb07184f52d88, SPIr: 0x63ce875fbc58cdb3,
		Path:    ike.Path{Local: netip.MustParseAddrPort("192.0.2.2:4500"), Remote: netip.MustParseAddrPort("198.51.100.2:4500")},
		LocalID: fqdn("a.example.org"), RemoteID: fqdn("b.example.org"), Suite: suite(crypto.IKE, "aes256gcm16-prfsha256-curve25519"),
		NATLocal: true, Fragments: true, Established: at(-75), RekeyAt: at(10260), ExpireAt: at(10800), Children: []ike.ChildStatus{child},
		Active: []string{"CREATE_CHILD_SA"}, LastError: &ike.Refusal{Cause: ike.NoSelectors, ByPeer: true, Notify: "TS_UNACCEPTABLE"},
	}
	begun := site // what site looks like while it is being set up
	begun.ID, begun.Conn, begun.State, begun.Established, begun.RekeyAt, begun.ExpireAt = 10, "büro 東京", ike.Connecting, ike.Never, ike.Never, ike.Never
	begun.LocalID, begun.RemoteID, begun.Suite, begun.SPIr, begun.Children, begun.LastError = id.ID{}, id.ID{}, crypto.Suite{}, 0, nil, nil
	begun.Active, begun.Queued = []string{"IKE_SA_INIT"}, []string{"CREATE_CHILD_SA"}
	roads := make([]ike.Status, 3)
	for i := range roads {
		r := site
		r.ID, r.Conn, r.Initiator, r.SPIi, r.SPIr = uint64(11+i), "road", false, uint64(0xa0+i), uint64(0xb0+i)
		r.Path.Remote = netip.MustParseAddrPort("[2001:db8::99]:500")
		r.NATLocal, r.Fragments, r.Active, r.LastError, r.Established = false, false, nil, nil, at(-200000)
		c := child
		c.ID, c.Name, c.Encap, c.SPIIn, c.SPIOut = uint64(21+i), "all", false, uint32(0x21+i), uint32(0x31+i)
		c.RekeyAt = ike.Never
		r.Children = []ike.ChildStatus{c}
		roads[i] = r
	}
	roads[0].RemoteID = id.ID{Kind: id.KeyID, Data: "\x1b[31mevil\x07"}
	roads[0].ForceEncap = true
	roads[1].State, roads[1].RekeyAt = ike.Rekeying, ike.Never
	roads[2].Conn, roads[2].State, roads[2].Established, roads[2].RekeyAt, roads[2].ExpireAt = "", ike.Connecting, ike.Never, ike.Never, ike.Never
	roads[2].RemoteID, roads[2].Children, roads[2].Suite = id.ID{}, nil, crypto.Suite{}
	use := []control.ChildUsage{{
		In: esp.Usage{Bytes: 84, Packets: 1, LastUse: 3 * time.Second}, Out: esp.Usage{Bytes: 1234567890, Packets: 1000000, LastUse: 0}}}
	return []control.SA{{Status: site, Usage: use}, {Status: begun}, {Status: roads[0], Usage: use}, {Status: roads[1]}, {Status: roads[2]}}
}

func (f *fake) Redirect(_ context.Context, r control.RedirectRequest) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.redirected = append(f.redirected, r)
	return f.matches, f.err
}

// asked are the redirects that were asked for.
func (f *fake) asked() []control.RedirectRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.redirected)
}

func (f *fake) Rekey(_ context.Context, r control.RekeyRequest) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rekeyed = append(f.rekeyed, r)
	if f.after != nil {
		go f.after()
	}
	return f.matches, f.err
}

func (f *fake) Policies(context.Context) []control.Policy { return f.policies }

func (f *fake) Counters(context.Context) (control.Counters, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counters, nil
}

func (f *fake) ResetCounters(_ context.Context, every bool, conn string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resets = append(f.resets, fmt.Sprintf("%v %q", every, conn))
	return nil
}

func (f *fake) Refused(context.Context) []control.Refused {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}
