//go:build linux

package xfrm

import (
	"context"
	"fmt"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// exchange gathers requests for the kernel, so that they go out together, and leads
// each answer to who asked.
type exchange struct {
	ctx      context.Context
	kernel   Kernel
	requests []netlink.Request
	answers  []func(netlink.Reply)
}

// ask queues a request; answer is called with what the kernel says to it, and may ask
// again. encodeErr is that of making the body: then answer has it at once.
func (x *exchange) ask(t message.Type, body []byte, encodeErr error, answer func(netlink.Reply)) {
	if encodeErr != nil {
		answer(netlink.Reply{Err: encodeErr})
		return
	}
	x.requests = append(x.requests, netlink.Request{Type: t, Body: body})
	x.answers = append(x.answers, answer)
}

// flush sends what is queued, and what the answers queue, until there is nothing. The
// error is of the socket: what was carried out is not known.
func (x *exchange) flush() error {
	for len(x.requests) > 0 {
		requests, answers := x.requests, x.answers
		x.requests, x.answers = nil, nil
		replies, err := x.kernel.Do(x.ctx, requests)
		if err == nil && len(replies) != len(requests) {
			err = fmt.Errorf("%d answers to %d requests", len(replies), len(requests))
		}
		if err != nil {
			return fmt.Errorf("the kernel did not answer: %w", err)
		}
		for i, answer := range answers {
			answer(replies[i])
		}
	}
	return nil
}

func (x *exchange) putSA(t message.Type, st *message.State, answer func(netlink.Reply)) {
	body, err := message.AppendState(nil, st)
	x.ask(t, body, err, answer)
}

func (x *exchange) delSA(id esp.SAID, mark *message.Mark, answer func(netlink.Reply)) {
	body, err := message.AppendSAID(nil, kernelID(id), mark)
	x.ask(message.DelSA, body, err, answer)
}

// getSA reads an SA. The state is only lent: its keys are zeroed afterwards.
func (x *exchange) getSA(id esp.SAID, mark *message.Mark, answer func(*message.State, error)) {
	body, err := message.AppendSAID(nil, kernelID(id), mark)
	x.ask(message.GetSA, body, err, func(r netlink.Reply) {
		st, err := readState(r)
		if err != nil {
			answer(nil, err)
			return
		}
		defer st.Zero()
		answer(st, nil)
	})
}

func readState(r netlink.Reply) (*message.State, error) {
	defer clear(r.Body)
	if r.Err != nil {
		return nil, r.Err
	}
	st, err := message.ParseState(r.Body)
	if err != nil {
		return nil, fmt.Errorf("what the kernel tells of an SA cannot be read: %w", err)
	}
	return st, nil
}

func (x *exchange) putPolicy(t message.Type, m *message.Policy, answer func(netlink.Reply)) {
	body, err := message.AppendPolicy(nil, m)
	x.ask(t, body, err, answer)
}

func (x *exchange) delPolicy(k *policyKey, answer func(netlink.Reply)) {
	body, err := message.AppendPolicyID(nil, k.id())
	x.ask(message.DelPolicy, body, err, answer)
}

// getPolicy reads the policy at a key.
func (x *exchange) getPolicy(k *policyKey, answer func(*message.Policy, error)) {
	body, err := message.AppendPolicyID(nil, k.id())
	x.ask(message.GetPolicy, body, err, func(r netlink.Reply) {
		if r.Err != nil {
			answer(nil, r.Err)
			return
		}
		answer(message.ParsePolicy(r.Body))
	})
}

// ignore is the answer to what need not succeed.
func ignore(netlink.Reply) {}
