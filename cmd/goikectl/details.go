package main

import (
	"fmt"
	"strings"

	"github.com/goike/goike/ike/control"
)

// details prints everything about the connections of an overview.
func (p printer) details(o *control.Overview) {
	for i := range o.Connections {
		c := &o.Connections[i]
		p.connDetails(c)
		for _, sa := range c.SAs {
			p.saDetails(sa)
		}
	}
	for _, sa := range o.OtherSAs {
		p.saDetails(sa)
	}
}

// field is a row of details; without a value there is none.
func field(rows [][]cell, name, value string) [][]cell {
	if value == "" {
		return rows
	}
	return append(rows, cells(name, value))
}

func (p printer) connDetails(c *control.ConnStatus) {
	p.line(c.Name+": "+c.State, stateStyle(c.State))
	rows := field(nil, "key_exchange", c.KeyExchange)
	rows = field(rows, "remote_gateway", c.RemoteGateway)
	rows = field(rows, "local_address", c.LocalAddress)
	rows = field(rows, "identifier", c.Identifier)
	rows = field(rows, "peer_identifier", c.PeerIdentifier)
	rows = field(rows, "connection_behavior", c.ConnectionBehavior)
	for _, n := range notes(c) {
		rows = append(rows, []cell{{text: "note"}, n})
	}
	p.table("  ", rows)
	p.refusalDetails(c.LastError)
	for _, child := range c.Children {
		p.line(fmt.Sprintf("  %s/%s: configured", c.Name, child.Name), plain)
		rows := field(nil, "description", child.Description)
		rows = field(rows, "mode", child.Mode+", "+child.Protocol)
		rows = field(rows, "local_network", strings.Join(child.LocalNetwork, " "))
		rows = field(rows, "remote_network", strings.Join(child.RemoteNetwork, " "))
		p.table("    ", rows)
	}
}

func (p printer) refusalDetails(e *control.RefusalStatus) {
	if e == nil {
		return
	}
	p.line(joined(" ", "  last failure", ago(e.At)), red)
	by := ""
	switch {
	case e.ByPeer:
		by = "the peer"
	case e.Notify != "":
		by = "this host"
	}
	rows := field(nil, "cause", e.Cause)
	rows = field(rows, "refused by", by)
	rows = field(rows, "notify", e.Notify)
	rows = field(rows, "offered", e.Offered)
	rows = field(rows, "configured", e.Configured)
	rows = field(rows, "nearest", e.Nearest)
	rows = field(rows, "differs", e.Differs)
	rows = field(rows, "error", e.Error)
	rows = field(rows, "hint", e.Hint)
	p.table("    ", rows)
}

func (p printer) saDetails(sa control.SAStatus) {
	role := "responder"
	if sa.Initiator {
		role = "initiator"
	}
	p.line(fmt.Sprintf("  IKE SA %s #%d: %s, IKEv%d, %s", sa.Conn, sa.ID, sa.State, sa.Version, role), stateStyle(saState(sa)))
	rows := field(nil, "local", endpoint(sa.LocalHost, sa.LocalPort)+" "+sa.LocalID)
	rows = field(rows, "peer", endpoint(sa.RemoteHost, sa.RemotePort)+" "+sa.RemoteID)
	rows = field(rows, "SPIs", sa.InitiatorSPI+" initiator, "+sa.ResponderSPI+" responder")
	rows = field(rows, "suite", sa.Suite)
	if sa.Established != nil {
		rows = field(rows, "NAT", nat(sa))
		rows = field(rows, "fragmentation", map[bool]string{true: "yes", false: "no"}[sa.Fragmentation])
	}
	rows = field(rows, "established", ago(sa.Established))
	rows = field(rows, "next", joined(", ", in("rekey", sa.RekeyTime), in("expires", sa.ExpireTime)))
	rows = field(rows, "under way", strings.Join(sa.TasksActive, ", "))
	rows = field(rows, "queued", strings.Join(sa.TasksQueued, ", "))
	if e := sa.LastError; e != nil {
		rows = append(rows, []cell{{text: "last error"}, {text: joined(" ", ago(e.At), e.Text), style: red}})
	}
	p.table("    ", rows)
	for _, c := range sa.Children {
		p.childDetails(sa, c)
	}
}

func (p printer) childDetails(sa control.SAStatus, c control.ChildSA) {
	encap := ""
	if c.Encap {
		encap = " in UDP"
	}
	p.line(fmt.Sprintf("    %s/%s #%d: %s, %s, %s%s", sa.Conn, c.Name, c.ID, c.State, c.Mode, c.Protocol, encap), stateStyle(c.State))
	rows := field(nil, "networks", networks(c.LocalTS, c.RemoteTS))
	rows = field(rows, "suite", c.Suite)
	rows = field(rows, "in", joined(", ", "SPI "+c.SPIIn, carried(c.BytesIn, c.PacketsIn), ago(c.UseIn)))
	rows = field(rows, "out", joined(", ", "SPI "+c.SPIOut, carried(c.BytesOut, c.PacketsOut), ago(c.UseOut)))
	rows = field(rows, "reqid", fmt.Sprint(c.ReqID))
	rows = field(rows, "installed", ago(c.InstallTime))
	rows = field(rows, "next", joined(", ", in("rekey", c.RekeyTime), in("expires", c.LifeTime)))
	p.table("      ", rows)
}
