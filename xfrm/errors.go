//go:build linux

package xfrm

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// errUnsupported is what all errors wrap that say what cannot be.
var errUnsupported = errors.ErrUnsupported

// unsupported is an error that also is errors.ErrUnsupported.
type unsupported struct{ error }

// Unwrap implements errors.Unwrap.
func (u unsupported) Unwrap() []error { return []error{u.error, errUnsupported} }

// is tells whether the kernel refused with one of these numbers.
func is(err error, numbers ...syscall.Errno) bool {
	for _, n := range numbers {
		if errors.Is(err, n) {
			return true
		}
	}
	return false
}

// gone tells whether what was asked about is not there.
func gone(err error) bool { return is(err, syscall.ESRCH, syscall.ENOENT) }

// refusedSA is the error for an SA that the kernel did not take.
func refusedSA(sa *esp.SA, err error) error {
	switch {
	case is(err, syscall.ENOSYS, syscall.EPROTONOSUPPORT, syscall.ENOENT, syscall.EAFNOSUPPORT):
		return unsupported{fmt.Errorf("this kernel lacks %s in %s mode, or the module for it cannot be loaded: %w", algorithmsOf(sa), modeText(sa.Mode), err)}
	case sa.Offload > esp.OffloadAuto && is(err, syscall.ENODEV, syscall.EOPNOTSUPP, syscall.EINVAL):
		return unsupported{fmt.Errorf("the network card does not do %s offload for %s: %w; use offload auto or none", offloadText(sa.Offload), algorithmsOf(sa), err)}
	case is(err, syscall.EOPNOTSUPP):
		return unsupported{fmt.Errorf("this kernel cannot do it: %w", err)}
	case is(err, syscall.EEXIST):
		return fmt.Errorf("another program has an SA with this SPI: %w; let that program, or the peer, negotiate it anew", err)
	case is(err, syscall.EINVAL):
		return fmt.Errorf("this kernel takes no such SA, %s in %s mode: %w", algorithmsOf(sa), modeText(sa.Mode), err)
	}
	return common(err)
}

// refusedPolicy is the error for a policy that the kernel did not take.
func refusedPolicy(err error) error {
	switch {
	case is(err, syscall.EEXIST):
		return fmt.Errorf("another program has a policy for the same packets: %w; stop that program or remove it with \"ip xfrm policy delete\"", err)
	case is(err, syscall.ENODEV):
		return fmt.Errorf("there is no such network interface: %w", err)
	case is(err, syscall.ENOSYS, syscall.EPROTONOSUPPORT, syscall.EOPNOTSUPP, syscall.EAFNOSUPPORT):
		return unsupported{fmt.Errorf("this kernel cannot do it: %w", err)}
	}
	return common(err)
}

// common are the refusals that mean the same for SAs and policies.
func common(err error) error {
	switch {
	case is(err, syscall.EPERM, syscall.EACCES):
		return fmt.Errorf("%w: it takes CAP_NET_ADMIN in this network namespace", err)
	case is(err, syscall.ENOBUFS, syscall.ENOMEM):
		return fmt.Errorf("the kernel is short of memory: %w", err)
	case is(err, syscall.ENODEV):
		return fmt.Errorf("there is no such network interface: %w", err)
	}
	var k *netlink.KernelError
	if errors.As(err, &k) {
		return fmt.Errorf("the kernel says: %w", err)
	}
	return err
}

func modeText(m esp.Mode) string {
	switch m {
	case esp.Tunnel:
		return "tunnel"
	case esp.Transport:
		return "transport"
	case esp.BEET:
		return "BEET"
	}
	return fmt.Sprintf("no such (%d)", m)
}

func offloadText(o esp.Offload) string {
	switch o {
	case esp.OffloadAuto:
		return "automatic"
	case esp.OffloadCrypto:
		return "crypto"
	case esp.OffloadPacket:
		return "packet"
	}
	return fmt.Sprintf("no such (%d)", o)
}

func protoText(p esp.Proto) string {
	switch p {
	case esp.ProtoESP:
		return "ESP"
	case esp.ProtoAH:
		return "AH"
	case esp.ProtoIPComp:
		return "IPComp"
	}
	return fmt.Sprintf("IP protocol %d", p)
}

// nameSA names an SA for people: "ESP SA 0000abcd from 192.0.2.1 to 192.0.2.2".
func nameSA(id esp.SAID, from string) string {
	if from != "" {
		from = " from " + from
	}
	return fmt.Sprintf("%s SA %08x%s to %s", protoText(id.Proto), id.SPI, from, id.Dst)
}

// namePolicy names a policy for people.
func namePolicy(p *esp.Policy) string {
	s := p.Name
	if s == "" {
		s = "unnamed"
	}
	return fmt.Sprintf("the policy of %s for packets %s %s", s, directionText(p.Dir), selectorText(p.Sel))
}

func directionText(d esp.Direction) string {
	switch d {
	case esp.Out:
		return "out"
	case esp.In:
		return "in"
	case esp.Forward:
		return "forwarded"
	}
	return fmt.Sprintf("in direction %d", d)
}

func selectorText(s esp.Selector) string {
	text := fmt.Sprintf("from %s to %s", s.Src, s.Dst)
	if s.Proto != 0 {
		text += fmt.Sprintf(" of IP protocol %d", s.Proto)
	}
	if s.SrcPorts != esp.AnyPort || s.DstPorts != esp.AnyPort {
		text += fmt.Sprintf(" with ports %s and %s", portsText(s.SrcPorts), portsText(s.DstPorts))
	}
	return text
}

// keyText names a policy of the kernel for people.
func keyText(k policyKey) string {
	dir := map[message.Direction]string{message.In: "in", message.Out: "out", message.Forward: "forwarded"}[k.dir]
	return fmt.Sprintf("%s from %s to %s", dir, k.sel.Src, k.sel.Dst)
}
