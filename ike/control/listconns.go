package control

import (
	"context"
	"fmt"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike/ts"
)

// listConns streams the configured connections as list-conn events.
func listConns(ctx context.Context, s *session, args *Message) *Message {
	c := s.server.backend.Config()
	for _, conn := range c.Connections {
		if only := args.Get("ike"); only != "" && only != conn.Name {
			continue
		}
		err := stream(ctx, s, "list-conn", conn.Children, func(children []*conf.Child) *Message {
			m := &Message{}
			addConn(m.AddSection(conn.Name), c, conn, children)
			return m
		})
		if err != nil {
			return done(fmt.Errorf("connection %s: %w", conn.Name, err))
		}
	}
	return done(nil)
}

var versions = [...]string{conf.VersionAuto: "IKEv1/2", conf.IKEv1: "IKEv1", conf.IKEv2: "IKEv2"}

var uniqueIDs = [...]string{
	conf.UniqueReplace: "UNIQUE_REPLACE", conf.UniqueNo: "UNIQUE_NO", conf.UniqueNever: "UNIQUE_NEVER", conf.UniqueKeep: "UNIQUE_KEEP",
}

// dpdActions are strongSwan's words for what becomes of the children of a dead peer;
// it writes "none" also where they are just deleted.
var dpdActions = [...]string{conf.DPDRestart: "start", conf.DPDClear: "none", conf.DPDHold: "trap", conf.DPDNone: "none"}

func addConn(m *Message, c *conf.Config, conn *conf.Connection, children []*conf.Child) {
	local, remote := "%any", []string{"%any"}
	if conn.LocalAddr.IsValid() {
		local = conn.LocalAddr.String()
	}
	if !conn.Gateways.Any() {
		remote = conn.Gateways.Words()
	}
	m.SetList("local_addrs", local)
	m.SetList("remote_addrs", remote...)
	m.Set("version", word(versions[:], conn.Version))
	reauth := rekeyAfter(conn, conn.Lifetime, conn.Margin)
	rekey := reauth
	if conn.Reauthenticate {
		rekey = 0
	} else {
		reauth = 0
	}
	setInt(m, "reauth_time", seconds(reauth))
	setInt(m, "rekey_time", seconds(rekey))
	m.Set("unique", word(uniqueIDs[:], c.Unique(conn)))
	if conn.DPDAction != conf.DPDNone && conn.DPDDelay > 0 {
		setInt(m, "dpd_delay", seconds(conn.DPDDelay))
	}
	addAuth(m.AddSection("local-1"), conn.Local)
	addAuth(m.AddSection("remote-1"), conn.Remote)
	list := m.AddSection("children")
	for _, child := range children {
		addConfChild(list.AddSection(child.Name), conn, child)
	}
}

// rekeyAfter is the time after which an SA of that lifetime is replaced, without
// the random part; 0 if we do not.
func rekeyAfter(conn *conf.Connection, lifetime, margin time.Duration) time.Duration {
	if !conn.Rekey || lifetime == conf.Forever {
		return 0
	}
	return max(lifetime-margin, 0)
}

func addAuth(m *Message, a conf.Auth) {
	if a.ID.Kind != id.Any {
		m.Set("id", a.ID.String())
	}
	m.Set("class", "pre-shared key")
	for _, list := range []string{"groups", "cert_policy", "certs", "cacerts"} {
		m.SetList(list)
	}
}

func addConfChild(m *Message, conn *conf.Connection, child *conf.Child) {
	m.Set("mode", modeWord(child.Mode))
	setInt(m, "rekey_time", seconds(rekeyAfter(conn, child.Lifetime, conn.RenewalOf(child).Margin)))
	m.Set("rekey_bytes", "0")
	m.Set("rekey_packets", "0")
	m.Set("dpd_action", word(dpdActions[:], conn.DPDActionOf(child)))
	m.Set("close_action", "none")
	m.SetList("local-ts", confSelectors(child.Local)...)
	m.SetList("remote-ts", confSelectors(child.Remote)...)
}

// confSelectors writes configured selectors. None is the address in use.
func confSelectors(list []conf.Selector) []string {
	if len(list) == 0 {
		return []string{"dynamic"}
	}
	var words []string
	for _, s := range list {
		if s.Dynamic() {
			words = append(words, s.String())
			continue
		}
		words = append(words, selectors(ts.FromConf([]conf.Selector{s}, s.First))...)
	}
	return words
}
