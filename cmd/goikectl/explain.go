package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

func (a *app) explainCommand() *cobra.Command {
	refused := false
	c := &cobra.Command{
		Use:   "explain [NAME]",
		Short: "Say why a connection is not up, or what is wrong with one that is, and what to do",
		Args:  atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			name := strings.Join(args, "")
			if refused && name != "" {
				return usageError{errors.New("--refused and the name of a connection exclude each other")}
			}
			return a.explain(c.Context(), name, refused)
		},
		ValidArgsFunction: a.completeConns,
	}
	c.Flags().BoolVar(&refused, "refused", false, "explain what peers, strangers among them, have begun here in vain")
	return c
}

// explanations is what explain prints in JSON.
type explanations struct {
	versioned
	Explanations []explanation `json:"explanations"`
}

// explanation says in plain words what is the matter.
type explanation struct {
	Connection string   `json:"connection"`
	Child      string   `json:"child,omitempty"`
	OK         bool     `json:"ok"` // there is nothing to mend
	Verdict    string   `json:"verdict"`
	Facts      []string `json:"facts"`
	Here       []string `json:"here"`  // what to do on this side
	There      []string `json:"there"` // what to do on the peer's
}

func (a *app) explain(ctx context.Context, name string, refused bool) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	strangers, err := a.refused(ctx, c)
	if err != nil {
		return err
	}
	list := explanations{versioned: current, Explanations: []explanation{}}
	if refused {
		for i := range strangers {
			list.Explanations = append(list.Explanations, explainRefused(&strangers[i]))
		}
		return a.tellAll(list, "no peer has begun anything here in vain")
	}
	o, err := a.overview(ctx, c, name)
	if err != nil {
		return err
	}
	if name != "" && len(o.Connections)+len(o.OtherSAs) == 0 {
		return a.noSuch(ctx, c, name)
	}
	for i := range o.Connections {
		list.Explanations = append(list.Explanations, explainConn(&o.Connections[i], strangers)...)
	}
	return a.tellAll(list, "no connections")
}

func (a *app) refused(ctx context.Context, c *control.Client) ([]control.RefusedStatus, error) {
	ctx, cancel := a.answerContext(ctx)
	defer cancel()
	list, err := c.Refused(ctx)
	return list, because(ctx, err)
}

func (a *app) tellAll(list explanations, none string) error {
	if a.json {
		return printJSON(a.out, list, true)
	}
	p := printer{a.out, a.color}
	if len(list.Explanations) == 0 {
		p.line(none, plain)
	}
	for i, e := range list.Explanations {
		if i > 0 {
			p.line("", plain)
		}
		e.show(p)
	}
	return nil
}

func (e explanation) show(p printer) {
	s := red
	if e.OK {
		s = green
	}
	p.line(e.Verdict, s)
	for _, part := range []struct {
		title string
		lines []string
	}{{"", e.Facts}, {"here:   ", e.Here}, {"there:  ", e.There}} {
		for i, line := range part.lines {
			indent := part.title
			if i > 0 {
				indent = strings.Repeat(" ", len(indent))
			}
			p.line("  "+indent+line, plain)
		}
	}
}

// explainConn explains a connection: as a whole, and each of its tunnels that is not up
// while others are.
func explainConn(c *control.ConnStatus, strangers []control.RefusedStatus) []explanation {
	if len(established(c)) == 0 {
		return []explanation{explainDown(c, strangers)}
	}
	out := []explanation{explainUp(c)}
	for _, child := range c.Children {
		t := target{c.Name, child.Name}
		if child.Mode != "pass" && child.Mode != "drop" && !t.up(c) {
			out = append(out, explainChild(c, child.Name, strangers))
		}
	}
	return out
}

// explainUp tells of a connection that is up what is worth knowing.
func explainUp(c *control.ConnStatus) explanation {
	e := explanation{Connection: c.Name, OK: true, Verdict: c.Name + " is up", Facts: []string{}, Here: []string{}, There: []string{}}
	for _, sa := range established(c) {
		e.Facts = append(e.Facts, fmt.Sprintf("IKE SA #%d with %s (%s), %s", sa.ID, endpoint(sa.RemoteHost, sa.RemotePort), sa.RemoteID, sa.Suite))
		switch {
		case sa.NATLocal && sa.NATRemote:
			e.Facts = append(e.Facts, "both sides are behind a NAT: ESP goes in UDP, port 4500")
		case sa.NATLocal:
			e.Facts = append(e.Facts, "this host is behind a NAT: ESP goes in UDP, port 4500")
		case sa.NATRemote:
			e.Facts = append(e.Facts, "the peer is behind a NAT: ESP goes in UDP, port 4500")
		case sa.NATFake:
			e.Facts = append(e.Facts, "ESP goes in UDP, port 4500, since force_udp_encapsulation is true; there is no NAT")
		}
		for _, child := range sa.Children {
			e.Facts = append(e.Facts, carriage(c.Name, child)...)
		}
	}
	return e
}

// carriage tells when a tunnel carries packets one way only.
func carriage(conn string, child control.ChildSA) []string {
	switch {
	case child.PacketsOut > 0 && child.PacketsIn == 0:
		return []string{fmt.Sprintf("%s/%s has sent %s and got none: look for what keeps the peer's packets away (firewall, routes back on the other side)", conn, child.Name, plural(child.PacketsOut, "packet"))}
	case child.PacketsIn > 0 && child.PacketsOut == 0:
		return []string{fmt.Sprintf("%s/%s has got %s and sent none: look for where the answers go here (routes, firewall)", conn, child.Name, plural(child.PacketsIn, "packet"))}
	}
	return nil
}

// explainChild explains why a tunnel is not up while its IKE SA is.
func explainChild(c *control.ConnStatus, child string, strangers []control.RefusedStatus) explanation {
	e := explanation{Connection: c.Name, Child: child, Facts: []string{}, Here: []string{}, There: []string{}}
	name := c.Name + "/" + child
	why := c.LastError
	if why != nil && why.Child != "" && why.Child != child {
		why = nil
	}
	for _, sa := range c.SAs {
		if why == nil && len(c.Children) == 1 {
			why = sa.LastError
		}
	}
	for i := range strangers {
		if why == nil && strangers[i].Conn == c.Name && strangers[i].Child == child {
			why = strangers[i].Why
		}
	}
	if why == nil {
		e.OK = true
		e.Verdict = name + " is down, and nobody has asked for it"
		e.Here = append(e.Here, "send traffic for it, or: goikectl up "+name)
		return e
	}
	e.because(name+" is not up: ", &reason{RefusalStatus: why, peer: c.RemoteGateway})
	e.Facts = append(e.Facts, next(c)...)
	return e
}

// explainDown explains why there is no IKE SA.
func explainDown(c *control.ConnStatus, strangers []control.RefusedStatus) explanation {
	e := explanation{Connection: c.Name, Facts: []string{}, Here: []string{}, There: []string{}}
	if why := c.LastError; why != nil {
		e.because(c.Name+" is not up: ", &reason{RefusalStatus: why, peer: c.RemoteGateway, traffic: trafficOf(c), said: c.Unreachable})
		e.Facts = append(e.Facts, next(c)...)
		return e
	}
	for i := range strangers {
		if strangers[i].Conn == c.Name {
			e.because(c.Name+" is not up: ", reasonOf(&strangers[i]))
			return e
		}
	}
	switch c.State {
	case "listening":
		e.OK = true
		e.Verdict = c.Name + " waits for its peer, which has not begun anything here"
		e.Facts = append(e.Facts, "connection_behavior is responder-only: this host does not call "+c.RemoteGateway)
		e.There = append(e.There, "set the tunnel up, and look whether its packets leave (UDP ports 500 and 4500)")
		e.Here = append(e.Here, "see what others have begun in vain: goikectl explain --refused")
	case "on-demand":
		e.OK = true
		e.Verdict = c.Name + " is down, and no traffic has asked for it"
		e.Here = append(e.Here, "send traffic for its networks, or: goikectl up "+c.Name)
	case "stopped":
		e.Verdict = c.Name + " was taken down by command"
		e.Here = append(e.Here, "goikectl up "+c.Name)
	default:
		e.Verdict = c.Name + " is being set up"
		e.Facts = append(e.Facts, sentMessages(trafficOf(c), c.RemoteGateway)...)
		e.unreachable(c.Unreachable)
		e.Facts = append(e.Facts, next(c)...)
	}
	return e
}

// trafficOf is that of the attempt under way, or of the one that failed last.
func trafficOf(c *control.ConnStatus) *control.Traffic {
	for _, sa := range c.SAs {
		if sa.State == "connecting" && sa.Traffic != nil && sa.Traffic.IKE.Sent+sa.Traffic.NATT.Sent > 1 {
			return sa.Traffic
		}
	}
	return c.Traffic
}

// next is what comes next.
func next(c *control.ConnStatus) []string {
	if text := plan(c); text != "" {
		return []string{text}
	}
	return nil
}

func reasonOf(r *control.RefusedStatus) *reason {
	return &reason{RefusalStatus: r.Why, peer: r.RemoteHost, traffic: r.Traffic, served: true}
}

// explainRefused explains what a peer has begun in vain.
func explainRefused(r *control.RefusedStatus) explanation {
	e := explanation{Connection: r.Conn, Child: r.Child, Facts: []string{}, Here: []string{}, There: []string{}}
	who := endpoint(r.RemoteHost, r.RemotePort)
	if r.Conn != "" {
		who += " (" + joined("/", r.Conn, r.Child) + ")"
	}
	e.because(who+" was refused: ", reasonOf(r))
	e.Facts = append([]string{joined(", ", plural(uint64(max(r.Times, 0)), "time"), lastTime(r.Why), "at "+endpoint(r.LocalHost, r.LocalPort)+" here")}, e.Facts...)
	return e
}

func lastTime(why *control.RefusalStatus) string {
	if why.At == nil {
		return ""
	}
	return "the last one " + ago(why.At)
}
