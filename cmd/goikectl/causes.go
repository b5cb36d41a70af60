package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goike/goike/ike/control"
)

// reason is a refusal with what else there is to know about it.
type reason struct {
	*control.RefusalStatus
	peer    string // its address, or what is configured as such
	traffic *control.Traffic
	served  bool // the peer has begun
	said    *control.Unreachable
}

// because adds what a reason means, and what to do.
func (e *explanation) because(what string, c *reason) {
	explain := map[string]func(*explanation, *reason) string{
		"no-answer": noAnswer, "no-connection": noConnection, "no-proposal": noProposal, "no-selectors": noSelectors,
		"wrong-key": wrongKey, "peer-refused": peerRefused, "internal": internal,
	}[c.Cause]
	if explain == nil {
		explain = asItIs
	}
	e.Verdict = what + explain(e, c)
}

func (e *explanation) fact(format string, args ...any) {
	e.Facts = append(e.Facts, fmt.Sprintf(format, args...))
}
func (e *explanation) here(format string, args ...any) {
	e.Here = append(e.Here, fmt.Sprintf(format, args...))
}
func (e *explanation) there(format string, args ...any) {
	e.There = append(e.There, fmt.Sprintf(format, args...))
}

// asItIs is for causes that say all in their line.
func asItIs(e *explanation, c *reason) string {
	if c.Hint != "" && !strings.Contains(c.Text, c.Hint) {
		e.here("%s", c.Hint)
	}
	return c.Text
}

// noAnswer: silence. Which port is silent tells where to look.
func noAnswer(e *explanation, c *reason) string {
	if c.Subject == "unfinished" {
		e.Facts = append(e.Facts, sentMessages(c.traffic, c.peer)...)
		e.there("look into its log: it began and did not go on. Perhaps our answer does not reach it (firewall, UDP port 4500), or it did not like it")
		return "the peer began and did not go on"
	}
	e.Facts = append(e.Facts, sentMessages(c.traffic, c.peer)...)
	t := c.traffic
	switch {
	case e.unreachable(c.said):
	case t != nil && t.IKE.Received+t.NATT.Received == 0:
		e.here("check the address %s, and whether UDP ports 500 and 4500 may leave and come back (firewall, routes)", c.peer)
		e.there("check that its IKE daemon runs, listens at that address, and that its firewall lets UDP ports 500 and 4500 in")
	case t != nil && t.IKE.Received > 0 && t.NATT.Sent > 0 && t.NATT.Received == 0:
		e.fact("port 500 works and port 4500 does not answer: something on the way blocks UDP port 4500, or drops large packets (the largest message had %d octets)", t.NATT.Largest)
		e.here("let UDP port 4500 pass; try a smaller fragment_size, such as 576")
		e.there("let UDP port 4500 pass; look into its log: a peer that does not like what it gets may say nothing")
	default:
		e.here("look whether the line is down: goikectl log %s follows what happens", e.Connection)
		e.there("look into its log: it has answered before")
	}
	return "the peer does not answer"
}

// unreachable tells what somebody on the way says about messages that did not arrive, and
// what to do about it; it is false when nobody says anything that explains it.
func (e *explanation) unreachable(u *control.Unreachable) bool {
	if u == nil {
		return false
	}
	what, ok := map[string]string{
		"no-port": "nothing listens there", "no-host": "this host is not there", "no-network": "there is no route to it",
		"prohibited": "a firewall forbids it", "too-big": "the packet is too large", "time-out": "it was on its way for too long, in a loop of routes",
	}[u.What]
	if !ok {
		what = "it cannot be delivered"
	}
	if u.MTU > 0 {
		what += fmt.Sprintf(" for %d octets", u.MTU)
	}
	e.fact("%s says of messages to UDP port %d of %s that %s (ICMP, %s)", u.By, u.Port, u.Host, what, times(u.Times))
	switch u.What {
	case "no-port":
		e.there("start the IKE daemon of %s: nothing listens on its UDP port %d", u.Host, u.Port)
	case "no-host", "no-network", "time-out":
		e.here("check that %s is the address of the peer, and ask those who run %s why it cannot reach it", u.Host, u.By)
	case "prohibited":
		e.there("let UDP ports 500 and 4500 pass the firewall at %s", u.By)
	case "too-big":
		e.here("set fragment_size to %d or less", max(u.MTU, 576))
	default:
		return false
	}
	return true
}

// times writes how often something was said.
func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// sentMessages tells what was sent and received by each port.
func sentMessages(t *control.Traffic, peer string) []string {
	if t == nil {
		return nil
	}
	var out []string
	for _, port := range []struct {
		number int
		is     control.Packets
	}{{500, t.IKE}, {4500, t.NATT}} {
		if port.is.Sent+port.is.Received == 0 {
			continue
		}
		text := fmt.Sprintf("port %d: %s sent to %s, %s received", port.number, plural(count(port.is.Sent), "message"), peer, strconv.FormatInt(port.is.Received, 10))
		if port.is.Ignored > 0 {
			text += fmt.Sprintf(", %d of them ignored: they were not authentic, or repetitions", port.is.Ignored)
		}
		out = append(out, text)
	}
	return out
}

func count(n int64) uint64 { return uint64(max(n, 0)) } //nolint:gosec // not negative

// noConnection: nothing here fits the peer's address.
func noConnection(e *explanation, c *reason) string {
	if c.ByPeer {
		e.there("configure a connection for the address of this host")
		return "the peer has no connection for this host"
	}
	e.fact("%s", c.Text)
	e.here("if the peer is one of yours, give its connection a remote_gateway that %s belongs to", c.peer)
	return "no connection here is for its address"
}

// noProposal: the nearest miss, and the line that mends it on either side.
func noProposal(e *explanation, c *reason) string {
	phase := max(c.Phase, 1)
	swanctl := "proposals"
	if phase == 2 {
		swanctl = "esp_proposals"
	}
	switch c.Subject {
	case "other-mode":
		e.fact("%s", c.Differs)
		e.here("mode = %s in the phase 2", quoted(c.Offered))
		e.there("the mode that is configured here: %s", c.Configured)
		return "the two sides want different modes"
	case "exchange-group":
		e.fact("%s; offered were %s", c.Differs, c.Offered)
	default:
		e.list("offered", c.Offered)
		e.list("configured", c.Configured)
		e.list("nearest", c.Nearest)
		if c.Differs != "" {
			e.fact("what differs: %s", c.Differs)
		}
	}
	if c.MendHere != "" {
		e.here("add to the proposals of phase %d: proposals = [%s]", phase, quoted(c.MendHere))
	}
	if c.MendThere != "" {
		e.there("add %s to its proposals of phase %d (swanctl.conf: %s = %s)", c.MendThere, phase, swanctl, c.MendThere)
	}
	if c.ByPeer {
		e.there("its log says what it wants instead: a peer tells only that it has refused")
		if phase == 1 {
			e.there("it may also have no connection for the address of this host")
		}
		return fmt.Sprintf("the peer does not accept the proposals of phase %d", phase)
	}
	return fmt.Sprintf("the two sides have no proposal of phase %d in common", phase)
}

func (e *explanation) list(what, text string) {
	if text != "" {
		e.fact("%s: %s", what, text)
	}
}

func quoted(s string) string { return `"` + s + `"` }

// noSelectors: the networks do not mirror each other.
func noSelectors(e *explanation, c *reason) string {
	e.list("offered", c.Offered)
	e.list("configured", c.Configured)
	e.list("what differs", c.Differs)
	e.here("local_network and remote_network have to mirror the peer's")
	e.there("its local networks have to be the remote_network here, and the other way round (swanctl.conf: local_ts, remote_ts)")
	if c.ByPeer {
		return "the peer does not accept the networks"
	}
	return "the networks of the two sides do not fit"
}

// wrongKey: who is not whom the other expects, or has another key.
func wrongKey(e *explanation, c *reason) string {
	who := func(s, none string) string {
		if s == "" {
			return none
		}
		return s
	}
	local, remote := who(c.LocalID, "its address"), who(c.RemoteID, "its address")
	switch c.Subject {
	case "shared-key":
		e.fact("this host is %s, the peer %s", local, remote)
		e.here("set the same pre_shared_key as the peer; mind spaces and end of line, and 0x or 0s in front of it")
		e.there("the same")
		return "the pre-shared keys differ"
	case "no-shared-key":
		e.fact("this host is %s, the peer %s", local, remote)
		e.here("give the connection a pre_shared_key, or a [[secret]] whose owners are these identities")
		return "there is no pre-shared key for the two identities"
	case "peer-identity":
		e.fact("the peer calls itself %s; expected is %s", c.Offered, c.Configured)
		e.here("peer_identifier = %s", quoted(c.Offered))
		e.there("or let it call itself %s (swanctl.conf: local { id = %s })", c.Configured, c.Configured)
		return "the peer is not who it is to be"
	case "own-identity":
		e.fact("the peer asks for %s; this host is %s", c.Offered, c.Configured)
		e.here("identifier = %s", quoted(c.Offered))
		e.there("or let it expect %s (swanctl.conf: remote { id = %s })", c.Configured, c.Configured)
		return "the peer wants to speak with somebody else"
	case "auth-method":
		e.fact("the peer wants %s, configured is %s", c.Offered, c.Configured)
		e.there("authentication by pre-shared key for this connection")
		return "the peer authenticates in another way"
	}
	if c.ByPeer {
		e.fact("this host has called itself %s, the peer %s; a peer does not tell what it does not like", local, remote)
		e.here("check pre_shared_key, and that identifier is what the peer expects")
		e.there("its log says whether it knows %s, and whether the key fits", local)
		return "the peer does not accept the authentication"
	}
	return asItIs(e, c)
}

func peerRefused(e *explanation, c *reason) string {
	if c.Subject == "other-version" {
		e.there("switch IKEv2 on for this host; this host speaks no other version")
		return "the peer does not speak IKEv2"
	}
	e.there("its log says why")
	if c.Hint != "" {
		e.here("%s", c.Hint)
	}
	return "the peer has refused with " + c.Notify
}

// internal: this host itself.
func internal(e *explanation, c *reason) string {
	verdict, ok := map[string]string{
		"gateway-name": "the name of the peer does not resolve", "route": "there is no way to the peer",
		"local-address": "the configured local address cannot be used", "data-plane": "the data plane does not take the SAs",
	}[c.Subject]
	if !ok {
		return asItIs(e, c)
	}
	e.fact("%s", c.Error)
	switch c.Subject {
	case "gateway-name":
		e.here("check remote_gateway %s and the name servers of this host (/etc/resolv.conf)", c.peer)
	case "route":
		e.here("check the routes of this host: ip route get %s", strings.Split(c.peer, ",")[0])
	case "local-address":
		e.here("set local_address to an address or interface of this host, or leave it out")
	case "data-plane":
		e.here("look whether the kernel has what the suite needs (goikectl log tells), or propose another one")
	}
	return verdict
}
