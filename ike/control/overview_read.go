package control

import (
	"slices"
	"strconv"
	"strings"
)

func readConn(name string, m *Message) ConnStatus {
	c := ConnStatus{
		Name: name, State: m.Get("state"), Try: readInt(m, "try"), NextTry: optional(m, "next-try"), GivenUp: yes(m, "given-up"),
		KeyExchange: m.Get("key-exchange"), RemoteGateway: m.Get("remote-gateway"), LocalAddress: m.Get("local-address"),
		Identifier: m.Get("identifier"), PeerIdentifier: m.Get("peer-identifier"),
		ConnectionBehavior: m.Get("connection-behavior"), KeyingTries: readInt(m, "keying-tries"),
		LastError: readRefusal(m), Traffic: readTraffic(m), Unreachable: readUnreachable(m), Children: []ChildConf{}, SAs: []SAStatus{},
	}
	for child, s := range m.Section("children").Sections() {
		c.Children = append(c.Children, ChildConf{
			Name: child, Description: s.Get("description"), Mode: strings.ToLower(s.Get("mode")),
			Protocol: strings.ToLower(s.Get("protocol")), LocalNetwork: readList(s, "local-network"), RemoteNetwork: readList(s, "remote-network"),
		})
	}
	return c
}

func readRefusal(m *Message) *RefusalStatus {
	parts := m.Section("refusal")
	if parts == nil {
		return nil
	}
	return &RefusalStatus{
		Text: m.Get("last-error"), Child: m.Get("last-child"), At: optional(m, "last-at"), Cause: parts.Get("cause"), Subject: parts.Get("subject"), Phase: readInt(parts, "phase"), ByPeer: yes(parts, "by-peer"),
		Notify: parts.Get("notify"), Offered: parts.Get("offered"), Configured: parts.Get("configured"),
		Nearest: parts.Get("nearest"), Differs: parts.Get("differs"), MendHere: parts.Get("mend-here"), MendThere: parts.Get("mend-there"),
		LocalID: parts.Get("local-id"), RemoteID: parts.Get("remote-id"), Hint: parts.Get("hint"), Error: parts.Get("error"),
	}
}

func readUnreachable(m *Message) *Unreachable {
	sec := m.Section("unreachable")
	if sec == nil {
		return nil
	}
	return &Unreachable{
		By: sec.Get("by"), Host: sec.Get("host"), Port: readInt(sec, "port"), What: sec.Get("what"), MTU: readInt(sec, "mtu"), Times: readInt(sec, "times"),
	}
}

func readTraffic(m *Message) *Traffic {
	sec := m.Section("traffic")
	if sec == nil {
		return nil
	}
	port := func(name string) (p Packets) {
		if s := sec.Section(name); s != nil {
			p = Packets{readInt(s, "sent"), readInt(s, "received"), readInt(s, "ignored"), readInt(s, "largest")}
		}
		return p
	}
	return &Traffic{IKE: port("ike"), NATT: port("natt")}
}

// ReadSA reads the section of an IKE SA in list-sa, goike-sa and the events about
// SAs. What a message does not tell is zero.
func ReadSA(name string, m *Message) SAStatus {
	sa := SAStatus{
		Conn: name, ID: readUint(m, "uniqueid"), Version: readInt(m, "version"), State: strings.ToLower(m.Get("state")),
		LocalHost: m.Get("local-host"), LocalPort: readInt(m, "local-port"), LocalID: m.Get("local-id"),
		RemoteHost: m.Get("remote-host"), RemotePort: readInt(m, "remote-port"), RemoteID: m.Get("remote-id"),
		Initiator: yes(m, "initiator"), InitiatorSPI: m.Get("initiator-spi"), ResponderSPI: m.Get("responder-spi"),
		NATLocal: yes(m, "nat-local"), NATRemote: yes(m, "nat-remote"), NATFake: yes(m, "nat-fake"),
		Suite: readSuite(m), Fragmentation: yes(m, "fragmentation"),
		Established: optional(m, "established"), RekeyTime: optional(m, "rekey-time"), ExpireTime: optional(m, "expire-time"),
		TasksActive: readList(m, "tasks-active"), TasksQueued: readList(m, "tasks-queued"),
		LastError: readRefusal(m), Traffic: readTraffic(m), Children: []ChildSA{},
	}
	for _, s := range m.Section("child-sas").Sections() {
		sa.Children = append(sa.Children, ReadChild(s))
	}
	return sa
}

// ReadChild reads the section of a child SA in the same messages.
func ReadChild(m *Message) ChildSA {
	return ChildSA{
		Name: m.Get("name"), ID: readUint(m, "uniqueid"), ReqID: readUint(m, "reqid"), State: strings.ToLower(m.Get("state")),
		Mode: strings.ToLower(m.Get("mode")), Protocol: strings.ToLower(m.Get("protocol")), Encap: yes(m, "encap"),
		SPIIn: m.Get("spi-in"), SPIOut: m.Get("spi-out"), Suite: readSuite(m),
		BytesIn: readUint(m, "bytes-in"), PacketsIn: readUint(m, "packets-in"), UseIn: optional(m, "use-in"),
		BytesOut: readUint(m, "bytes-out"), PacketsOut: readUint(m, "packets-out"), UseOut: optional(m, "use-out"),
		RekeyTime: optional(m, "rekey-time"), LifeTime: optional(m, "life-time"), InstallTime: optional(m, "install-time"),
		LocalTS: readList(m, "local-ts"), RemoteTS: readList(m, "remote-ts"),
	}
}

// readSuite is the suite in the words of goike.toml or, in messages that have only
// strongSwan's keys, as swanctl writes it: "AES_CBC-256/HMAC_SHA2_256_128/MODP_2048".
func readSuite(m *Message) string {
	if m.Has("suite") {
		return m.Get("suite")
	}
	var words []string
	for _, alg := range []string{"encr", "integ"} {
		word := m.Get(alg + "-alg")
		if size := m.Get(alg + "-keysize"); size != "" {
			word += "-" + size
		}
		words = append(words, word)
	}
	words = append(words, m.Get("prf-alg"), m.Get("dh-group"))
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "/")
}

func yes(m *Message, name string) bool { return m.Get(name) == "yes" }

// readInt and readUint read what the daemon wrote as a number; anything else is 0.
func readInt(m *Message, name string) int64 {
	n, _ := strconv.ParseInt(m.Get(name), 10, 64)
	return n
}

func readUint(m *Message, name string) uint64 {
	n, _ := strconv.ParseUint(m.Get(name), 10, 64)
	return n
}

func optional(m *Message, name string) *int64 {
	if !m.Has(name) {
		return nil
	}
	n := readInt(m, name)
	return &n
}

// readList is never nil, so that JSON has an empty list.
func readList(m *Message, name string) []string { return append([]string{}, m.List(name)...) }
