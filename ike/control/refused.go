package control

import (
	"context"
	"strconv"
)

// refused tells what peers have begun in vain, the latest first: a section for each.
func refused(ctx context.Context, s *session, _ *Message) *Message {
	m := &Message{}
	list := m.AddSection("refused")
	now := s.server.backend.Now()
	for i, r := range s.server.backend.Refused(ctx) {
		sec := list.AddSection(strconv.Itoa(i + 1))
		setText(sec, "ike", r.Conn)
		setText(sec, "child", r.Child)
		addAddress(sec, "local", r.Path.Local)
		addAddress(sec, "remote", r.Path.Remote)
		setInt(sec, "times", r.Times)
		addAge(sec, "last-at", now, r.At)
		addRefusal(sec, r.Why)
		addTraffic(sec, r.Traffic)
	}
	return m
}

// RefusedStatus is something that a peer has begun in vain.
type RefusedStatus struct {
	Conn       string         `json:"connection"`
	Child      string         `json:"child"`
	LocalHost  string         `json:"local_host"`
	LocalPort  int64          `json:"local_port"`
	RemoteHost string         `json:"remote_host"`
	RemotePort int64          `json:"remote_port"`
	Times      int64          `json:"times"`
	Why        *RefusalStatus `json:"error"`
	Traffic    *Traffic       `json:"traffic"`
}

// Refused asks what peers have begun in vain.
func (c *Client) Refused(ctx context.Context) ([]RefusedStatus, error) {
	m, err := c.Call(ctx, "goike-refused", nil)
	if err != nil {
		return nil, err
	}
	out := []RefusedStatus{}
	for _, s := range m.Section("refused").Sections() {
		out = append(out, RefusedStatus{
			Conn: s.Get("ike"), Child: s.Get("child"), LocalHost: s.Get("local-host"), LocalPort: readInt(s, "local-port"),
			RemoteHost: s.Get("remote-host"), RemotePort: readInt(s, "remote-port"), Times: readInt(s, "times"),
			Why: readRefusal(s), Traffic: readTraffic(s),
		})
	}
	return out, nil
}
