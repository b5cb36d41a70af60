package control

import "context"

// Overview is what goike-status tells. Times are in seconds from now, or until
// now where something is past; nil where there is no such time.
type Overview struct {
	Schema      int          `json:"schema"` // of the JSON: 1
	Daemon      string       `json:"daemon"`
	Version     string       `json:"version"`
	Dataplane   string       `json:"dataplane"`
	Connections []ConnStatus `json:"connections"`
	// OtherSAs are IKE SAs of no configured connection.
	OtherSAs []SAStatus `json:"other_sas"`

	index map[string]int // of connections by name
}

// ConnStatus is a configured connection: its settings by the words of goike.toml,
// what it is doing, and its IKE SAs.
type ConnStatus struct {
	Name               string         `json:"name"`
	State              string         `json:"state"`
	Try                int64          `json:"try"`
	NextTry            *int64         `json:"next_try"`
	GivenUp            bool           `json:"given_up"` // until traffic or a command begins again
	KeyExchange        string         `json:"key_exchange"`
	RemoteGateway      string         `json:"remote_gateway"`
	LocalAddress       string         `json:"local_address"`
	Identifier         string         `json:"identifier"`
	PeerIdentifier     string         `json:"peer_identifier"`
	ConnectionBehavior string         `json:"connection_behavior"`
	KeyingTries        int64          `json:"keying_tries"`
	LastError          *RefusalStatus `json:"last_error"`
	Traffic            *Traffic       `json:"traffic"` // of the IKE SA that failed last
	Unreachable        *Unreachable   `json:"unreachable"`
	Children           []ChildConf    `json:"children"`
	SAs                []SAStatus     `json:"ike_sas"`
}

// ChildConf is a configured child.
type ChildConf struct {
	Name          string   `json:"name"`
	Description   string   `json:"description"`
	Mode          string   `json:"mode"`
	Protocol      string   `json:"protocol"`
	LocalNetwork  []string `json:"local_network"`
	RemoteNetwork []string `json:"remote_network"`
}

// RefusalStatus is why something failed: in one line, and its parts (ike.Refusal).
type RefusalStatus struct {
	Text       string `json:"text"`
	Child      string `json:"child"` // that it is about; empty: the IKE SA, or not told
	At         *int64 `json:"at"`
	Cause      string `json:"cause"`
	Subject    string `json:"subject"` // what it is about, where the cause leaves that open
	Phase      int64  `json:"phase"`
	ByPeer     bool   `json:"by_peer"`
	Notify     string `json:"notify"`
	Offered    string `json:"offered"`
	Configured string `json:"configured"`
	Nearest    string `json:"nearest"`
	Differs    string `json:"differs"`
	MendHere   string `json:"mend_here"`
	MendThere  string `json:"mend_there"`
	LocalID    string `json:"local_id"`
	RemoteID   string `json:"remote_id"`
	Hint       string `json:"hint"`
	Error      string `json:"error"`
}

// Unreachable is what somebody on the way says about messages that did not arrive: anybody
// can forge it.
type Unreachable struct {
	By    string `json:"by"`
	Host  string `json:"host"` // where the messages went
	Port  int64  `json:"port"`
	What  string `json:"what"` // no-port, no-host, no-network, prohibited, too-big, time-out or other
	MTU   int64  `json:"mtu"`  // of too-big, in octets; 0: not said
	Times int64  `json:"times"`
}

// Traffic is what an IKE SA has sent and received from ports 500 and 4500 of this host.
type Traffic struct {
	IKE  Packets `json:"ike"`
	NATT Packets `json:"natt"`
}

// Packets counts messages, repetitions included.
type Packets struct {
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
	Ignored  int64 `json:"ignored"` // of those received: they did nothing
	Largest  int64 `json:"largest"` // octets of the largest that was sent
}

// SAStatus is an IKE SA, by the keys of list-sa and some of our own.
type SAStatus struct {
	Conn          string         `json:"connection"`
	ID            uint64         `json:"uniqueid"`
	Version       int64          `json:"version"`
	State         string         `json:"state"`
	LocalHost     string         `json:"local_host"`
	LocalPort     int64          `json:"local_port"`
	LocalID       string         `json:"local_id"`
	RemoteHost    string         `json:"remote_host"`
	RemotePort    int64          `json:"remote_port"`
	RemoteID      string         `json:"remote_id"`
	Initiator     bool           `json:"initiator"`
	InitiatorSPI  string         `json:"initiator_spi"`
	ResponderSPI  string         `json:"responder_spi"`
	NATLocal      bool           `json:"nat_local"`
	NATRemote     bool           `json:"nat_remote"`
	NATFake       bool           `json:"nat_fake"`
	Suite         string         `json:"suite"`
	Fragmentation bool           `json:"fragmentation"`
	Established   *int64         `json:"established"`
	RekeyTime     *int64         `json:"rekey_time"`
	ExpireTime    *int64         `json:"expire_time"`
	TasksActive   []string       `json:"tasks_active"`
	TasksQueued   []string       `json:"tasks_queued"`
	LastError     *RefusalStatus `json:"last_error"`
	Traffic       *Traffic       `json:"traffic"`
	Children      []ChildSA      `json:"child_sas"`
}

// ChildSA is a child SA, by the keys of list-sa and some of our own.
type ChildSA struct {
	Name        string   `json:"name"`
	ID          uint64   `json:"uniqueid"`
	ReqID       uint64   `json:"reqid"`
	State       string   `json:"state"`
	Mode        string   `json:"mode"`
	Protocol    string   `json:"protocol"`
	Encap       bool     `json:"encap"`
	SPIIn       string   `json:"spi_in"`
	SPIOut      string   `json:"spi_out"`
	Suite       string   `json:"suite"`
	BytesIn     uint64   `json:"bytes_in"`
	PacketsIn   uint64   `json:"packets_in"`
	UseIn       *int64   `json:"use_in"`
	BytesOut    uint64   `json:"bytes_out"`
	PacketsOut  uint64   `json:"packets_out"`
	UseOut      *int64   `json:"use_out"`
	RekeyTime   *int64   `json:"rekey_time"`
	LifeTime    *int64   `json:"life_time"`
	InstallTime *int64   `json:"install_time"`
	LocalTS     []string `json:"local_ts"`
	RemoteTS    []string `json:"remote_ts"`
}

// Status asks for the overview, of one connection or, with "", of all.
func (c *Client) Status(ctx context.Context, conn string) (*Overview, error) {
	args := &Message{}
	setText(args, "ike", conn)
	o := &Overview{Schema: 1, Connections: []ConnStatus{}, OtherSAs: []SAStatus{}, index: make(map[string]int)}
	m, err := c.Stream(ctx, "goike-status", []string{"goike-conn", "goike-sa"}, args, o.add)
	if err != nil {
		return nil, err
	}
	o.Daemon, o.Version, o.Dataplane = m.Get("daemon"), m.Get("version"), m.Get("dataplane")
	return o, nil
}

// add takes one event. What was too large for one event comes in several.
func (o *Overview) add(event string, m *Message) {
	for name, s := range m.Sections() {
		switch event {
		case "goike-conn":
			o.addConn(readConn(name, s))
		case "goike-sa":
			o.addSA(ReadSA(name, s))
		}
	}
}

func (o *Overview) addConn(c ConnStatus) {
	if n := len(o.Connections); n > 0 && o.Connections[n-1].Name == c.Name {
		o.Connections[n-1].Children = append(o.Connections[n-1].Children, c.Children...)
		return
	}
	o.index[c.Name] = len(o.Connections)
	o.Connections = append(o.Connections, c)
}

func (o *Overview) addSA(sa SAStatus) {
	list := &o.OtherSAs
	if c := o.Conn(sa.Conn); c != nil {
		list = &c.SAs
	}
	if n := len(*list); n > 0 && (*list)[n-1].ID == sa.ID {
		(*list)[n-1].Children = append((*list)[n-1].Children, sa.Children...)
		return
	}
	*list = append(*list, sa)
}

// Conn returns the connection of that name, nil if there is none.
func (o *Overview) Conn(name string) *ConnStatus {
	if i, ok := o.index[name]; ok {
		return &o.Connections[i]
	}
	return nil
}
