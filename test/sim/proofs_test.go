package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// proofs show what a key does, by "section key".
var proofs = map[string]func(*testing.T){
	// A peer.
	"phase1 name": func(t *testing.T) {
		equal(t, "connection", here(t, settings{"name": `"branch"`}, nil).up().Conn, "branch")
	},
	"phase1 proposals": func(t *testing.T) {
		equal(t, "suite", with(t, settings{"proposals": strong}, nil).up().Suite.String(), "aes256gcm16-prfsha384-ecp384")
		a, b := endA(), endB()
		a.phase1["proposals"], b.phase1["proposals"] = strong, `["aes128-sha256-modp2048"]`
		equal(t, "cause", run(t, a, b).failed().Cause, ike.NoProposal)
	},
	"phase1 encryption": suiteOf(settings{"encryption": `"aesgcm16"`, "key_length": "128"}, "aes128gcm16-"),
	"phase1 key_length": suiteOf(settings{"key_length": "192"}, "aes192-"),
	"phase1 hash":       suiteOf(settings{"hash": `"sha512"`}, "sha512"),
	"phase1 dh_group":   suiteOf(settings{"dh_group": "19"}, "-ecp256"),
	"phase1 lifetime": func(t *testing.T) {
		st := with(t, settings{"lifetime": `"30m"`}, nil).up()
		equal(t, "lifetime", st.ExpireAt.Sub(st.Established), 30*time.Minute)
		st = with(t, settings{"lifetime": `"forever"`}, nil).up()
		equal(t, "end", st.ExpireAt, ike.Never)
	},
	"phase1 pre_shared_key": func(t *testing.T) {
		equal(t, "cause", here(t, settings{"pre_shared_key": otherKey}, nil).failed().Cause, ike.WrongKey)
		with(t, settings{"pre_shared_key": otherKey}, nil).up()
	},
	"phase1 pre_shared_key_file": func(t *testing.T) {
		for key, same := range map[string]bool{"a key for the simulation": true, "0x00112233445566778899aabbccddeeff": false} {
			a := endA()
			a.phase1 = a.phase1.without("pre_shared_key").with(settings{"pre_shared_key_file": keyFile(t, key)})
			if l := run(t, a, endB()); same {
				l.up()
			} else {
				equal(t, "cause", l.failed().Cause, ike.WrongKey)
			}
		}
	},
	"phase1 identifier": func(t *testing.T) {
		l := here(t, settings{"identifier": `"a.example.org"`}, nil)
		l.b.Configure(func() *conf.Config {
			b := endB()
			b.phase1["peer_identifier"] = `"*.example.org"`
			return b.config(t)
		}())
		l.up()
		equal(t, "identity", l.b.Shard.Statuses()[0].RemoteID.String(), "a.example.org")
	},
	"phase1 peer_identifier": func(t *testing.T) {
		l := here(t, settings{"peer_identifier": `"b.example.org"`}, nil)
		equal(t, "cause", l.failed().Cause, ike.WrongKey)
		here(t, settings{"peer_identifier": `"198.51.100.2"`}, nil).up()
	},
	"phase1 connection_behavior": func(t *testing.T) {
		l := here(t, settings{"connection_behavior": `"responder-only"`}, nil)
		l.Rest(time.Minute)
		equal(t, "messages", len(l.seen), 0)
		l = here(t, settings{"connection_behavior": `"on-demand"`}, nil)
		l.Rest(time.Minute)
		equal(t, "messages", len(l.seen), 0)
		l.a.Ping(flow, func(*probe) {})
		l.up()
		here(t, settings{"connection_behavior": `"start"`}, nil).up()
	},
	"phase1 force_udp_encapsulation": func(t *testing.T) {
		equal(t, "in UDP", here(t, nil, nil).out().Encap != nil, false)
		equal(t, "in UDP", here(t, settings{"force_udp_encapsulation": "true"}, nil).out().Encap != nil, true)
	},
	"phase1 keying_tries": func(t *testing.T) {
		for tries, givenUp := range map[string]bool{"2": true, "0": false} {
			l := here(t, settings{"keying_tries": tries}, nil)
			l.b.Die()
			l.Rest(time.Hour)
			st := l.conn()
			equal(t, "given up after "+tries, st.GivenUp, givenUp)
			equal(t, "more than two tries with "+tries, st.Try > 2, !givenUp)
		}
	},
	"phase1 rekey": func(t *testing.T) {
		st := here(t, settings{"rekey": "false"}, nil).up()
		equal(t, "replacement", st.RekeyAt, ike.Never)
		equal(t, "replacement of the child", st.Children[0].RekeyAt, ike.Never)
	},
	"phase1 margintime": func(t *testing.T) {
		st := here(t, settings{"margintime": `"5m"`, "rekey_fuzz": "0"}, nil).up()
		equal(t, "margin", margin(st.RekeyAt, st.ExpireAt), 5*time.Minute)
		equal(t, "margin of the child", margin(st.Children[0].RekeyAt, st.Children[0].ExpireAt), 5*time.Minute)
	},
	"phase1 rekey_fuzz": func(t *testing.T) {
		st := here(t, settings{"rekey_fuzz": "200"}, nil).up()
		fuzzy(t, margin(st.RekeyAt, st.ExpireAt), 9*time.Minute, 27*time.Minute)
	},
	"phase1 dpd_action": func(t *testing.T) {
		for action, state := range map[string]string{"restart": "connecting", "clear": "stopped", "hold": "on-demand"} {
			l := here(t, settings{"dpd_action": fmt.Sprintf("%q", action), "keying_tries": "0"}, nil)
			l.silent(4 * time.Minute)
			equal(t, action+": state", l.conn().State, state)
			equal(t, action+": policies that hold packets back", len(l.a.Plane.Policies()), 3)
		}
		l := here(t, settings{"dpd_action": `"none"`}, nil)
		l.silent(20 * time.Minute)
		equal(t, "questions", l.marked(ike.LivenessAsked), 0)
		equal(t, "none: state", l.conn().State, "up")
	},
	"phase1 dpd_delay": func(t *testing.T) {
		a, b := endA(), endB()
		a.phase1["dpd_delay"], b.phase1["dpd_action"] = `"100s"`, `"none"`
		l := run(t, a, b)
		l.up()
		l.Rest(98 * time.Second)
		equal(t, "questions", l.marked(ike.LivenessAsked), 0)
		l.Rest(4 * time.Second)
		equal(t, "questions", l.marked(ike.LivenessAsked), 1)
	},
	"phase1 mobike": func(t *testing.T) {
		for value, moved := range map[string]bool{"true": true, "false": false} {
			a, b := endA(), endB()
			a.phase1["mobike"], b.phase1["remote_gateway"], b.phase1["peer_identifier"] = value, `"any"`, `"%any"`
			l := run(t, a, b)
			was := l.up().SPIi
			l.a.Move(netip.MustParseAddr("192.0.2.77"))
			l.Rest(5 * time.Minute)
			if err := both(l.a, l.b); err != nil {
				t.Fatal(err, tail(l.Trace))
			}
			equal(t, "mobike = "+value+": the same IKE SA", l.a.Shard.Statuses()[0].SPIi == was, moved)
		}
	},
	"phase1 fragmentation": func(t *testing.T) {
		equal(t, "fragments", here(t, nil, nil).up().Fragments, true)
		equal(t, "fragments", here(t, settings{"fragmentation": "false"}, nil).up().Fragments, false)
	},
	"phase1 fragment_size": func(t *testing.T) {
		a, b := endA(), endB()
		a.phase2["local_network"], b.phase2["remote_network"] = networks("10.1"), networks("10.1")
		short := settings{"fragment_size": "600", "proposals": strong}
		a.phase1, b.phase1 = a.phase1.with(short), b.phase1.with(short)
		l := run(t, a, b)
		l.up()
		if l.most+headers > 600 || l.exchanges(wire.IKEAuth) < 4 {
			t.Errorf("%d octets, %d messages", l.most, l.exchanges(wire.IKEAuth))
		}
	},
	"phase1 reauthenticate": func(t *testing.T) {
		for value, times := range map[string][2]int{"true": {2, 0}, "false": {1, 1}} {
			l := here(t, settings{"reauthenticate": value, "lifetime": `"1h"`}, settings{"lifetime": `"forever"`})
			l.up()
			l.Rest(57 * time.Minute)
			equal(t, value, [2]int{len(ofKind(l.a, ike.IKEUp)), len(ofKind(l.a, ike.IKERekeyed))}, times)
		}
	},
	"phase1 childless": func(t *testing.T) {
		equal(t, "by its own exchange", childless(t, `"allow"`), 0)
		equal(t, "by its own exchange", childless(t, `"prefer"`), 2)
		a, b := endA(), endB()
		a.phase1["childless"], b.phase1["childless"] = `"force"`, `"never"`
		if l := run(t, a, b); l.failed() == nil || l.isUp() {
			t.Error("set up with a peer that never is childless")
		}
	},
	"phase1 session_resumption": func(t *testing.T) {
		for value, want := range map[string]int{"true": 2, "false": 0} {
			l := with(t, settings{"session_resumption": value}, nil)
			l.up()
			away := true
			l.Drop = func(_, _ netip.AddrPort, data []byte) bool {
				if h, err := wire.ParseHeader(data); err == nil && !away {
					l.seen = append(l.seen, h)
				}
				return away
			}
			if !l.Run(10*time.Minute, func() bool { return len(ofKind(l.a, ike.IKEDown)) > 0 }) {
				t.Fatal(tail(l.Trace))
			}
			away, l.seen = false, nil
			if !l.Run(10*time.Minute, l.isUp) {
				t.Fatal(tail(l.Trace))
			}
			equal(t, value, l.exchanges(wire.IKESessionResume), want)
		}
	},
	"phase1 unique_ids": uniqueIDs(func(e *end, value string) { e.phase1["unique_ids"] = value }),
	"phase1 phase2": func(t *testing.T) {
		a := endA()
		a.before = fmt.Sprintf("[[phase1]]\n%s[[phase1.phase2]]\n%s", a.phase1, a.phase2.with(settings{"name": `"icmp"`, "remote_network": `"10.3.0.0/16"`}))
		a.phase1 = a.phase1.with(settings{"name": `"other"`, "remote_gateway": `"198.51.100.3"`})
		l := run(t, a, endB())
		equal(t, "first tunnel", strings.Contains(l.refused().Offered, "10.3.0.0/16"), true)
	},

	// A tunnel.
	"phase2 name": func(t *testing.T) {
		equal(t, "child", here(t, nil, settings{"name": `"offices"`}).child().Name, "offices")
	},
	"phase2 mode": func(t *testing.T) {
		equal(t, "mode", with(t, nil, nil).out().Mode, esp.Tunnel)
		for value, action := range map[string]esp.Action{"pass": esp.Bypass, "drop": esp.Discard} {
			l := here(t, nil, settings{"mode": fmt.Sprintf("%q", value)})
			l.Rest(time.Minute)
			equal(t, value, l.a.Plane.policy(flow).Action, action)
		}
		a, b := endA(), endB()
		a.phase2, b.phase2 = settings{"name": `"lan"`, "mode": `"transport"`}, settings{"name": `"lan"`, "mode": `"transport"`}
		l := run(t, a, b)
		hosts := esp.Flow{Src: addrA, Dst: addrB, Proto: 6, SrcPort: 40000, DstPort: 443}
		if !l.Run(10*time.Second, func() bool { return Carries(l.a, l.b, hosts) == nil }) {
			t.Fatal(tail(l.Trace))
		}
		equal(t, "mode", l.a.Plane.SAs(esp.Out)[0].Mode, esp.Transport)
	},
	"phase2 local_network": func(t *testing.T) {
		equal(t, "networks", ts.String(here(t, nil, settings{"local_network": `"10.1.0.0/24"`}).child().Local), "10.1.0.0/24")
	},
	"phase2 remote_network": func(t *testing.T) {
		equal(t, "networks", ts.String(here(t, nil, settings{"remote_network": `"10.2.0.10[tcp/443]"`}).child().Remote), "10.2.0.10/32[tcp/443]")
	},
	"phase2 protocol": func(t *testing.T) {
		equal(t, "protocol", with(t, nil, settings{"protocol": `"ah"`}).out().ID.Proto, esp.ProtoAH)
	},
	"phase2 lifetime": func(t *testing.T) {
		c := here(t, nil, settings{"lifetime": `"30m"`}).child()
		equal(t, "lifetime", c.ExpireAt.Sub(c.Installed).Round(time.Second), 30*time.Minute)
	},
	"phase2 lifetime_bytes": func(t *testing.T) {
		lim := here(t, nil, settings{"lifetime_bytes": "1_000_000"}).out().Limits
		equal(t, "octets", lim.HardBytes, 1_000_000)
		fuzzy(t, lim.HardBytes-lim.SoftBytes, 100_000, 200_000)
	},
	"phase2 lifetime_packets": func(t *testing.T) {
		lim := here(t, nil, settings{"lifetime_packets": "10_000"}).out().Limits
		equal(t, "packets", lim.HardPackets, 10_000)
		fuzzy(t, lim.HardPackets-lim.SoftPackets, 1_000, 2_000)
	},
	"phase2 margintime": func(t *testing.T) {
		c := here(t, nil, settings{"margintime": `"3m"`, "rekey_fuzz": "0"}).child()
		equal(t, "margin", margin(c.RekeyAt, c.ExpireAt), 3*time.Minute)
	},
	"phase2 rekey_fuzz": func(t *testing.T) {
		st := here(t, nil, settings{"rekey_fuzz": "0"}).up()
		equal(t, "margin", margin(st.Children[0].RekeyAt, st.Children[0].ExpireAt), 9*time.Minute)
		fuzzy(t, margin(st.RekeyAt, st.ExpireAt), 9*time.Minute, 18*time.Minute)
	},
	"phase2 margin_bytes": func(t *testing.T) {
		lim := here(t, nil, settings{"lifetime_bytes": "1_000_000", "margin_bytes": "300_000", "rekey_fuzz": "0"}).out().Limits
		equal(t, "octets", lim.SoftBytes, 700_000)
	},
	"phase2 margin_packets": func(t *testing.T) {
		lim := here(t, nil, settings{"lifetime_packets": "10_000", "margin_packets": "4_000", "rekey_fuzz": "0"}).out().Limits
		equal(t, "packets", lim.SoftPackets, 6_000)
	},
	"phase2 connection_behavior": func(t *testing.T) {
		l := here(t, nil, settings{"connection_behavior": `"on-demand"`})
		l.Rest(time.Minute)
		equal(t, "children", len(l.a.Plane.SAs(esp.Out)), 0)
		l.a.Ping(flow, func(*probe) {})
		l.up()
	},
	"phase2 dpd_action": func(t *testing.T) {
		l := here(t, settings{"keying_tries": "0"}, settings{"dpd_action": `"hold"`})
		l.silent(4 * time.Minute)
		equal(t, "state", l.conn().State, "on-demand")
	},
	"phase2 inactivity": func(t *testing.T) {
		l := here(t, settings{"connection_behavior": `"on-demand"`}, settings{"inactivity": `"2m"`})
		l.Rest(time.Second)
		l.a.Ping(flow, func(*probe) {})
		l.up()
		l.Rest(5 * time.Minute)
		equal(t, "IKE SAs", l.a.Shard.Len(), 0)
		equal(t, "state", l.conn().State, "on-demand")
	},
	"phase2 proposals": func(t *testing.T) {
		equal(t, "cipher", with(t, nil, settings{"proposals": `["chacha20poly1305"]`}).child().Suite.String(), "chacha20poly1305")
		equal(t, "esn", with(t, nil, settings{"proposals": `["aes128gcm16-esn"]`}).out().ESN, true)
	},
	"phase2 encryption": childSuiteOf(settings{"encryption": `"aesgcm16"`}, "aes256gcm16"),
	"phase2 key_length": childSuiteOf(settings{"key_length": "128"}, "aes128-sha256"),
	"phase2 hash":       childSuiteOf(settings{"hash": `"sha512"`}, "aes256-sha512"),
	"phase2 dh_group": func(t *testing.T) {
		for group, want := range map[string]uint16{"19": 19, "14": 14} {
			l := with(t, settings{"lifetime": `"forever"`}, settings{"dh_group": group})
			l.up()
			l.Rest(55 * time.Minute)
			equal(t, "replaced", len(ofKind(l.a, ike.ChildRekeyed)) > 0, true)
			equal(t, "group", l.child().Suite.KE.ID, want)
		}
	},
	"phase2 replay_window": func(t *testing.T) {
		equal(t, "window", here(t, nil, settings{"replay_window": "1024"}).in().Window, 1024)
	},
	"phase2 ipcomp": func(t *testing.T) {
		l := with(t, nil, settings{"ipcomp": "true"})
		equal(t, "compressed", l.child().CPIIn != 0, true)
	},
	"phase2 mark_in": func(t *testing.T) {
		l := here(t, nil, settings{"mark_in": `"0x10/0xff"`})
		equal(t, "mark", l.policy(esp.In).Mark, esp.Mark{Value: 0x10, Mask: 0xff})
		equal(t, "mark of the SA", l.in().Mark, esp.Mark{})
	},
	"phase2 mark_in_sa": func(t *testing.T) {
		equal(t, "mark", here(t, nil, settings{"mark_in": "16", "mark_in_sa": "true"}).in().Mark, esp.Mark{Value: 16, Mask: ^uint32(0)})
	},
	"phase2 mark_out": func(t *testing.T) {
		l := here(t, nil, settings{"mark_out": "42"})
		equal(t, "mark", l.policy(esp.Out).Mark, esp.Mark{Value: 42, Mask: ^uint32(0)})
		equal(t, "mark of the SA", l.out().Mark, esp.Mark{Value: 42, Mask: ^uint32(0)})
	},
	"phase2 set_mark_in": func(t *testing.T) {
		equal(t, "mark", here(t, nil, settings{"set_mark_in": `"0x20/0xf0"`}).in().SetMark, esp.Mark{Value: 0x20, Mask: 0xf0})
	},
	"phase2 set_mark_out": func(t *testing.T) {
		equal(t, "mark", here(t, nil, settings{"set_mark_out": "7"}).out().SetMark, esp.Mark{Value: 7, Mask: ^uint32(0)})
	},
	"phase2 if_id_in": func(t *testing.T) {
		l := here(t, nil, settings{"if_id_in": "5"})
		equal(t, "interface", [2]uint32{l.in().IfID, l.policy(esp.In).IfID}, [2]uint32{5, 5})
	},
	"phase2 if_id_out": func(t *testing.T) {
		l := here(t, nil, settings{"if_id_out": "6"})
		equal(t, "interface", [2]uint32{l.out().IfID, l.policy(esp.Out).IfID}, [2]uint32{6, 6})
	},
	"phase2 hw_offload": func(t *testing.T) {
		equal(t, "offload", here(t, nil, settings{"hw_offload": `"auto"`}).out().Offload, esp.OffloadAuto)
	},
	"phase2 copy_df": func(t *testing.T) {
		equal(t, "left", here(t, nil, settings{"copy_df": "false"}).out().NoCopyDF, true)
	},
	"phase2 copy_ecn": func(t *testing.T) {
		equal(t, "left", here(t, nil, settings{"copy_ecn": "false"}).out().NoECN, true)
	},
	"phase2 copy_dscp": func(t *testing.T) {
		for value, want := range map[string][2]bool{"out": {true, false}, "in": {false, true}, "yes": {true, true}, "no": {false, false}} {
			l := here(t, nil, settings{"copy_dscp": fmt.Sprintf("%q", value)})
			equal(t, value, [2]bool{l.out().CopyDSCP, l.in().DecapDSCP}, want)
		}
	},
	"phase2 tfc_padding": func(t *testing.T) {
		equal(t, "padding", here(t, nil, settings{"tfc_padding": "512"}).out().TFCPad, 512)
	},
	"phase2 priority": func(t *testing.T) {
		equal(t, "priority", here(t, nil, settings{"priority": "1000"}).policy(esp.Out).Priority, 1000)
	},

	// Keys for several peers.
	"secret owners": func(t *testing.T) {
		run(t, endA(), secret("owners = \"192.0.2.2\"\nkey = \"a key for the simulation\"")).up()
		b := secret("owners = \"192.0.2.3\"\nkey = \"a key for the simulation\"")
		b.phase1["remote_gateway"], b.phase1["peer_identifier"] = `"any"`, `"%any"`
		equal(t, "cause", run(t, endA(), b).refused().Cause, ike.WrongKey)
	},
	"secret key": func(t *testing.T) {
		run(t, endA(), secret(`key = "a key for the simulation"`)).up()
		equal(t, "cause", run(t, endA(), secret("key = "+otherKey)).refused().Cause, ike.WrongKey)
	},
	"secret key_file": func(t *testing.T) {
		run(t, endA(), secret("key_file = "+keyFile(t, "a key for the simulation"))).up()
	},

	// The whole daemon.
	"ipsec unique_ids": uniqueIDs(func(e *end, value string) { e.before = "[ipsec]\nunique_ids = " + value + "\n" }),
	"ipsec ipcomp": func(t *testing.T) {
		a, b := endA(), endB()
		a.before, b.before = "[ipsec]\nipcomp = true\n", "[ipsec]\nipcomp = true\n"
		equal(t, "compressed", run(t, a, b).child().CPIIn != 0, true)
	},
	"ipsec make_before_break": func(t *testing.T) {
		for value, gap := range map[string]bool{"true": false, "false": true} {
			a := endA()
			a.before = "[ipsec]\nmake_before_break = " + value + "\n"
			a.phase1 = a.phase1.with(settings{"reauthenticate": "true", "lifetime": `"30m"`})
			a.phase2["lifetime"] = `"forever"`
			l := run(t, a, endB())
			was, gone := l.up().SPIi, false
			l.Changed = func(*Host) { gone = gone || both(l.a, l.b) != nil }
			l.Rest(40 * time.Minute)
			equal(t, "another IKE SA", l.up().SPIi != was, true)
			equal(t, value+": the tunnel was away", gone, gap)
		}
	},
	"retransmit timeout": repeats("timeout = \"2s\"\nbase = 1", 5, 12*time.Second),
	"retransmit base":    repeats("timeout = \"1s\"\nbase = 2", 5, 63*time.Second),
	"retransmit tries":   repeats("timeout = \"1s\"\nbase = 1\ntries = 2", 2, 3*time.Second),
}

// suiteOf proves a key of phase 1 by what is agreed on.
func suiteOf(phase1 settings, want string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		if got := with(t, phase1, nil).up().Suite.String(); !strings.Contains(got, want) {
			t.Errorf("agreed on %s, not %s", got, want)
		}
	}
}

// childSuiteOf does so for a key of phase 2.
func childSuiteOf(phase2 settings, want string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		equal(t, "suite", with(t, nil, phase2).child().Suite.String(), want)
	}
}

// fuzzy checks that something random is within bounds, and not at the first of them.
func fuzzy[T uint64 | time.Duration](t *testing.T, got, least, most T) {
	t.Helper()
	if got <= least || got > most {
		t.Errorf("%v, not between %v and %v", got, least, most)
	}
}

// childless is how many messages of CREATE_CHILD_SA set a tunnel up.
func childless(t *testing.T, value string) int {
	t.Helper()
	l := here(t, settings{"childless": value}, nil)
	l.up()
	return l.exchanges(wire.CreateChildSA)
}

// networks is a list of a hundred networks.
func networks(begin string) string {
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprintf("\"%s.%d.0/24\"", begin, i))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// uniqueIDs proves unique_ids by a peer that comes a second time, from another address,
// and says INITIAL_CONTACT. (ike/engine shows what else there is.)
func uniqueIDs(set func(e *end, value string)) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		for value, want := range map[string]int{"yes": 1, "replace": 1, "no": 1, "never": 2} {
			a, b := endA(), endB()
			a.phase1["identifier"] = `"a.example.org"`
			b.phase1["remote_gateway"], b.phase1["peer_identifier"] = `"any"`, `"a.example.org"`
			set(&b, fmt.Sprintf("%q", value))
			l := run(t, a, b)
			first := l.up().SPIi
			l.Host("a elsewhere", netip.MustParseAddr("192.0.2.77"), a.config(t))
			l.Rest(30 * time.Second)
			sts := l.b.Shard.Statuses()
			equal(t, value+": IKE SAs", len(sts), want)
			equal(t, value+": the first stays", slices.ContainsFunc(sts, func(st ike.Status) bool { return st.SPIi == first }), want == 2)
		}
	}
}

// repeats proves a key of [retransmit] by how often a message is repeated, and when its
// sender gives up.
func repeats(lines string, times int, after time.Duration) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		a := endA()
		a.before = "[retransmit]\n" + lines + "\n"
		a.phase1["keying_tries"] = "1"
		l := run(t, a, endB())
		l.b.Die()
		equal(t, "cause", l.failed().Cause, ike.NoAnswer)
		equal(t, "given up after", time.Duration(l.Now()).Round(time.Second), after)
		equal(t, "repetitions", l.marked(ike.RequestRepeated), times)
	}
}
