package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// Every cause is explained: what is the matter, what is known, what to do on either side.
func TestExplainCauses(t *testing.T) {
	silent := ike.Traffic{Plain: ike.Packets{Sent: 6, Largest: 300}}
	half := ike.Traffic{Plain: ike.Packets{Sent: 1, Received: 1, Largest: 300}, NATT: ike.Packets{Sent: 6, Largest: 1244}}
	lively := ike.Traffic{Plain: ike.Packets{Sent: 1, Received: 1}, NATT: ike.Packets{Sent: 6, Received: 4, Ignored: 3}}
	var all strings.Builder
	for _, c := range []struct {
		name    string
		why     ike.Refusal
		traffic ike.Traffic
	}{
		{"silence", ike.Refusal{Cause: ike.NoAnswer}, silent},
		{"silence at port 4500", ike.Refusal{Cause: ike.NoAnswer}, half},
		{"silence later", ike.Refusal{Cause: ike.NoAnswer}, lively},
		{"unfinished", ike.Refusal{Cause: ike.NoAnswer, Subject: ike.Unfinished}, ike.Traffic{Plain: ike.Packets{Sent: 1, Received: 1}}},
		{"no connection", ike.Refusal{Cause: ike.NoConnection, Hint: "no phase 1 has remote_gateway 192.0.2.1"}, silent},
		{"no connection there", ike.Refusal{Cause: ike.NoConnection, ByPeer: true}, silent},
		{"proposals, as the peer says", ike.Refusal{Cause: ike.NoProposal, Phase: 1, ByPeer: true, Notify: "NO_PROPOSAL_CHOSEN", Offered: "aes256-sha256-modp2048", MendThere: "aes256-sha256-modp2048"}, lively},
		{"proposals", ike.Refusal{Cause: ike.NoProposal, Phase: 2, Notify: "NO_PROPOSAL_CHOSEN", Offered: "aes128-sha1", Configured: "aes256gcm16", Nearest: "aes256gcm16",
			Differs: "encryption", MendHere: "aes128-sha1", MendThere: "aes256gcm16"}, lively},
		{"group", ike.Refusal{Cause: ike.NoProposal, Phase: 1, Subject: ike.ExchangeGroup, ByPeer: true, Offered: "aes256-sha256-modp2048", Differs: "the peer wants key exchange group ecp384",
			MendHere: "aes256-sha256-ecp384", MendThere: "aes256-sha256-modp2048"}, lively},
		{"mode", ike.Refusal{Cause: ike.NoProposal, Phase: 2, Subject: ike.OtherMode, Offered: "transport", Configured: "tunnel", Differs: "the peer wants transport mode"}, lively},
		{"selectors", ike.Refusal{Cause: ike.NoSelectors, Offered: "10.1.0.0/16 === 10.2.0.0/16", Configured: "10.1.0.0/24 === 10.3.0.0/16", Differs: "nothing in common"}, lively},
		{"selectors, as the peer says", ike.Refusal{Cause: ike.NoSelectors, ByPeer: true, Offered: "10.1.0.0/16 === 10.2.0.0/16"}, lively},
		{"key", ike.Refusal{Cause: ike.WrongKey, Subject: ike.SharedKey, LocalID: "a.example.org", RemoteID: "b.example.org"}, lively},
		{"no key", ike.Refusal{Cause: ike.WrongKey, Subject: ike.NoSharedKey, LocalID: "a.example.org", RemoteID: "b.example.org"}, lively},
		{"key, as the peer says", ike.Refusal{Cause: ike.WrongKey, ByPeer: true, Notify: "AUTHENTICATION_FAILED", LocalID: "a.example.org"}, lively},
		{"peer's identity", ike.Refusal{Cause: ike.WrongKey, Subject: ike.PeerIdentity, Offered: "c.example.org", Configured: "b.example.org"}, lively},
		{"own identity", ike.Refusal{Cause: ike.WrongKey, Subject: ike.OwnIdentity, Offered: "z.example.org", Configured: "a.example.org"}, lively},
		{"method", ike.Refusal{Cause: ike.WrongKey, Subject: ike.AuthMethod, Offered: "EAP", Configured: "psk"}, lively},
		{"version", ike.Refusal{Cause: ike.PeerRefused, Subject: ike.OtherVersion, ByPeer: true, Notify: "INVALID_MAJOR_VERSION"}, lively},
		{"refused", ike.Refusal{Cause: ike.PeerRefused, ByPeer: true, Notify: "NO_ADDITIONAL_SAS"}, lively},
		{"name", ike.Refusal{Cause: ike.Internal, Subject: ike.GatewayName, Err: "cannot resolve hq.example.org: there is no such host"}, ike.Traffic{}},
		{"route", ike.Refusal{Cause: ike.Internal, Subject: ike.Route, Err: "no route to 198.51.100.2: network is unreachable"}, ike.Traffic{}},
		{"local address", ike.Refusal{Cause: ike.Internal, Subject: ike.LocalAddress, Err: "local_address 192.0.2.9 is not an address of this host"}, ike.Traffic{}},
		{"data plane", ike.Refusal{Cause: ike.Internal, Subject: ike.DataPlane, Err: "the kernel lacks aes256ccm16"}, lively},
		{"other", ike.Refusal{Cause: ike.BadMessage, Err: "a payload is cut short"}, lively},
		{"terminated", ike.Refusal{Cause: ike.Terminated, Hint: "the peer has ended it"}, lively},
	} {
		f := newFake()
		why := c.why
		f.conns[1] = control.ConnState{Conn: "hq", State: "waiting", Try: 1, NextTry: at(12), LastAt: at(-4), LastError: &why, Traffic: c.traffic}
		path, stop := serve(t, f)
		r := run(t, path, "explain", "hq")
		stop()
		if r.code != exitOK || r.errs != "" || !strings.HasPrefix(r.out, "hq is not up: ") {
			t.Errorf("%s: %+v", c.name, r)
		}
		fmt.Fprintf(&all, "== %s\n%s\n", c.name, r.out)
	}
	golden(t, "explain-causes.txt", all.String())
}

// What others say about messages that did not arrive.
func TestExplainUnreachable(t *testing.T) {
	var all strings.Builder
	for _, what := range []string{"no-port", "no-host", "no-network", "prohibited", "too-big", "time-out", "other"} {
		f := newFake()
		f.conns[1] = control.ConnState{Conn: "hq", State: "waiting", Try: 1, NextTry: at(12), LastAt: at(-4), LastError: &ike.Refusal{Cause: ike.NoAnswer},
			Traffic: ike.Traffic{Plain: ike.Packets{Sent: 6, Largest: 300}}, Unreachable: &ike.Unreachable{
				By: netip.MustParseAddr("203.0.113.1"), Peer: netip.MustParseAddrPort("198.51.100.7:500"), What: what, Times: 3}}
		if what == "too-big" {
			f.conns[1].Unreachable.MTU, f.conns[1].Unreachable.Times = 1400, 1
		}
		path, stop := serve(t, f)
		r := run(t, path, "explain", "hq")
		stop()
		fmt.Fprintf(&all, "== %s\n%s%s\n", what, r.out, r.errs)
	}
	golden(t, "explain-unreachable.txt", all.String())
}

// Every state is explained, in which nothing has failed.
func TestExplainStates(t *testing.T) {
	f := newFake()
	f.conns[1].LastError, f.conns[2].LastError = nil, nil
	f.conns[3].State = "listening"
	f.sas[1].Traffic = ike.Traffic{Plain: ike.Packets{Sent: 3}}
	oneWay := f.sas[0].Usage[0]
	oneWay.In.Packets = 0
	f.sas[0].Usage[0] = oneWay
	path, _ := serve(t, f)
	golden(t, "explain.txt", run(t, path, "explain").out)
	f.set(func() { f.sas = f.sas[:1] })
	golden(t, "explain-listening.txt", run(t, path, "explain", "road").out)
	f.set(func() {
		f.refused = []control.Refused{{Conn: "road", Path: f.sas[0].Path, Times: 2, At: at(-60), Why: &ike.Refusal{Cause: ike.WrongKey, Subject: ike.SharedKey}}}
	})
	if r := run(t, path, "explain", "road"); !strings.HasPrefix(r.out, "road is not up: the pre-shared keys differ\n") {
		t.Errorf("%+v", r)
	}
	f.set(func() { f.conns[4].State = "stopped" })
	if r := run(t, path, "explain", "lab"); !strings.HasPrefix(r.out, "lab was taken down by command\n  here:   goikectl up lab\n") {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "explain", "nosuch"); r.code != exitFailed || !strings.Contains(r.errs, `no connection "nosuch"`) {
		t.Errorf("%+v", r)
	}
	golden(t, "explain.json", run(t, path, "explain", "site", "--json").out)
}

// Policies of mode pass and drop are no tunnels that could be up.
func TestExplainLeavesShunts(t *testing.T) {
	f := newFake()
	f.config.Connections[0].Children[1].Mode = conf.Pass
	path, _ := serve(t, f)
	if r := run(t, path, "explain", "site"); strings.Contains(r.out, "voice") {
		t.Errorf("%+v", r)
	}
}

// A tunnel is not blamed for what another one has failed by.
func TestExplainChildren(t *testing.T) {
	f := newFake()
	f.sas[0].LastError, f.sas[0].Children = nil, nil
	f.sas[0].Usage = nil
	f.conns[0] = control.ConnState{Conn: "site", State: "up", NextTry: ike.Never, LastAt: at(-4), LastError: &ike.Refusal{Cause: ike.NoSelectors}, LastChild: "lan"}
	path, _ := serve(t, f)
	r := run(t, path, "explain", "site")
	if !strings.Contains(r.out, "site/lan is not up: the networks of the two sides do not fit") || !strings.Contains(r.out, "site/voice is down, and nobody has asked for it") {
		t.Errorf("%+v", r)
	}
}

// What strangers have begun in vain is explained, too.
func TestExplainRefused(t *testing.T) {
	f := newFake()
	path, _ := serve(t, f)
	if r := run(t, path, "explain", "--refused"); r != (result{"no peer has begun anything here in vain\n", "", exitOK}) {
		t.Errorf("%+v", r)
	}
	f.set(func() {
		f.refused = []control.Refused{
			{Path: f.sas[2].Path, Times: 3, At: at(-5), Why: &ike.Refusal{Cause: ike.NoConnection, Hint: "no phase 1 has remote_gateway 2001:db8::99"}},
			{Conn: "site", Child: "lan", Path: f.sas[0].Path, Times: 1, At: at(-60), Why: &ike.Refusal{Cause: ike.NoSelectors, Offered: "10.9.0.0/16"}},
			{Path: f.sas[0].Path, Times: 1, At: at(-61), Why: &ike.Refusal{Cause: ike.WrongKey, Subject: ike.PeerIdentity, Offered: "\x1b[31mevil", Configured: "b.example.org"}},
		}
	})
	r := run(t, path, "explain", "--refused")
	golden(t, "explain-refused.txt", r.out)
	if strings.Contains(r.out, "\x1b") {
		t.Errorf("control characters reach the terminal: %q", r.out)
	}
	if r := run(t, path, "explain", "--refused", "site"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}
