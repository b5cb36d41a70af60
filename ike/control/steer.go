package control

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
)

// initiate sets up what `ike` and `child` name, with the peer at `other-host` and from
// `my-host` where these are given. Its steps are control-log events; with `async` it does
// not wait.
func initiate(ctx context.Context, s *session, args *Message) *Message {
	r := InitiateRequest{Conn: args.Get("ike"), Child: args.Get("child")}
	log, timeout, err := s.steering(args)
	local, errLocal := address(args, "my-host")
	remote, errRemote := address(args, "other-host")
	err = errors.Join(err, errLocal, errRemote)
	r.Local, r.Remote = local, remote
	if isYes(args, "async") {
		timeout = -1
	}
	if err == nil && r.Conn == "" && r.Child == "" {
		err = errNoName
	}
	if err != nil {
		return failure(err)
	}
	r.Timeout = timeout
	if err := s.server.backend.Initiate(ctx, r, log); err != nil {
		return failure(err)
	}
	return success()
}

var errNoTerminateChoice = errors.New("missing terminate selector")

// terminate takes down what `ike`, `child`, `ike-id` or `child-id` name. Its steps
// are control-log events.
func terminate(ctx context.Context, s *session, args *Message) *Message {
	conn, child, connID, childID, err := names(args)
	r := TerminateRequest{Conn: conn, Child: child, ConnID: connID, ChildID: childID, Force: isYes(args, "force")}
	log, timeout, errSteer := s.steering(args)
	r.Timeout = timeout
	err = errors.Join(err, errSteer)
	if err == nil && r.Conn == "" && r.Child == "" && r.ConnID == 0 && r.ChildID == 0 {
		err = errNoTerminateChoice
	}
	if err != nil {
		return failure(err)
	}
	n, err := s.server.backend.Terminate(ctx, r, log)
	m := &Message{}
	if err == nil {
		m.Set("success", "yes")
		setInt(m, "matches", n)
		setInt(m, "terminated", n)
		return m
	}
	m.Set("success", "no")
	setInt(m, "matches", n)
	setInt(m, "terminated", 0)
	m.Set("errmsg", err.Error())
	return m
}

// address reads an argument that is an address; absent it is invalid.
func address(args *Message, name string) (netip.Addr, error) {
	if !args.Has(name) {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(args.Get(name))
	if err != nil {
		return a, fmt.Errorf("%s = %q is not an address", name, args.Get(name))
	}
	return a.Unmap(), nil
}

// steering reads what initiate and terminate have in common: where the steps go,
// and how long to wait.
func (s *session) steering(args *Message) (log func(LogLine), timeout time.Duration, err error) {
	ms, err := number(args, "timeout", 0)
	level, errLevel := number(args, "loglevel", 1)
	if ms > math.MaxInt64/int64(time.Millisecond) {
		ms = 0
	}
	log = func(l LogLine) {
		if int64(l.Level) <= level {
			s.sendEvent("control-log", logMessage(l, false))
		}
	}
	return log, max(time.Duration(ms)*time.Millisecond, -1), errors.Join(err, errLevel)
}

// logMessage is a line of the log as an event. The events of the log name a
// thread, those of a command do not.
func logMessage(l LogLine, thread bool) *Message {
	m := &Message{}
	m.Set("group", group(l.Subsystem))
	setInt(m, "level", l.Level)
	if thread {
		m.Set("thread", "0")
	}
	setText(m, "ikesa-name", l.Conn)
	if l.IKE != 0 {
		setInt(m, "ikesa-uniqueid", l.IKE)
	}
	m.Set("msg", l.Text)
	return m
}

// group writes a subsystem as strongSwan writes its own.
func group(subsystem string) string {
	switch subsystem {
	case "child":
		return "CHD"
	case "":
		return "DMN"
	}
	return strings.ToUpper(subsystem)
}
