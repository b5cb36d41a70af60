//go:build linux

package xfrm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// maxForms bounds the answers that Check keeps.
const maxForms = 1024

// form is what an SA that is only tried has.
type form struct {
	proto       esp.Proto
	mode        esp.Mode
	encr, integ crypto.Alg
	esn, encap  bool
	window      uint32
	padded      bool
	flags       [4]bool
	mark, set   esp.Mark
	interfaced  bool
}

func formOf(sa *esp.SA) form {
	return form{
		proto: sa.ID.Proto, mode: sa.Mode, encr: sa.Encr, integ: sa.Integ, esn: sa.ESN, encap: sa.Encap != nil,
		window: sa.Window, padded: sa.TFCPad != 0, flags: [4]bool{sa.NoCopyDF, sa.CopyDSCP, sa.DecapDSCP, sa.NoECN},
		mark: sa.Mark, set: sa.SetMark, interfaced: sa.IfID != 0,
	}
}

// checks are the forms of SAs that the kernel can hold. What it cannot is asked again:
// somebody may have installed the module.
type checks struct {
	mu    sync.Mutex
	known map[form]bool
}

func (c *checks) has(f form) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[f]
}

func (c *checks) put(f form) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) < maxForms {
		c.known[f] = true
	}
}

// Check implements engine.DataPlane. The kernel is asked to hold an SA of that form
// between addresses of this host, for a moment; that it could is remembered. What the
// network card can do is known only when an SA has addresses.
func (p *Plane) Check(ctx context.Context, sa esp.SA) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return net.ErrClosed
	case sa.Offload > esp.OffloadAuto && p.cfg.OffloadDevice == nil:
		return fmt.Errorf("no network card here does %s offload: %w", offloadText(sa.Offload), errUnsupported)
	}
	f := formOf(&sa)
	if p.checks.has(f) {
		return nil
	}
	err := try(ctx, p.cfg.Kernel, sa, p.cfg.LastReqID)
	if err == nil {
		p.checks.put(f)
	}
	return err
}

// Probe tells whether this kernel can hold an ESP SA; the error says why it cannot.
func Probe(ctx context.Context, k Kernel) error {
	var errs []error
	for _, sa := range []esp.SA{
		{Encr: crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 128}},
		{
			Encr:  crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESCBC, KeyBits: 128},
			Integ: crypto.Alg{Type: crypto.Integ, ID: crypto.IntegHMACSHA256},
		},
	} {
		sa.ID.Proto, sa.Window = esp.ProtoESP, 32
		err := try(ctx, k, sa, 0)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errs[0]
}

// maxTries bounds how often an SPI is chosen that an SA has already.
const maxTries = 8

// try has the kernel hold an SA like sa and removes it at once.
func try(ctx context.Context, k Kernel, sa esp.SA, reqID uint32) error {
	if err := checkForm(&sa); err != nil {
		return err
	}
	trial(&sa, reqID)
	defer sa.EncrKey.Zero()
	defer sa.IntegKey.Zero()
	for range maxTries {
		if err := chooseSPI(&sa); err != nil {
			return err
		}
		st, err := state(&sa, false)
		if err != nil {
			return err
		}
		var said error
		x := exchange{ctx: ctx, kernel: k}
		x.putSA(message.NewSA, st, func(r netlink.Reply) {
			if said = r.Err; said == nil {
				x.delSA(sa.ID, st.Mark, ignore)
			}
		})
		if err := x.flush(); err != nil {
			return err
		}
		switch {
		case said == nil:
			return nil
		case is(said, syscall.EEXIST):
			continue
		}
		return untaken(&sa, said)
	}
	return errors.New("no SPI was found that no SA has")
}

// untaken is the error for an SA that was only tried.
func untaken(sa *esp.SA, err error) error {
	said := refusedSA(sa, err)
	if is(err, syscall.EINVAL) {
		said = unsupported{said}
	}
	return said
}

// trial gives sa what it lacks: addresses of this host, keys that nobody knows. Its
// direction is that in which more can be refused.
func trial(sa *esp.SA, reqID uint32) {
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	sa.ID.Dst, sa.Src, sa.Dir, sa.ReqID, sa.Offload, sa.Limits = host, host, esp.In, reqID, esp.OffloadNone, esp.Limits{}
	one := netip.PrefixFrom(host, host.BitLen())
	sa.Selectors = []esp.Selector{{Src: one, Dst: one, SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}}
	if sa.Encap != nil {
		sa.Encap = &esp.Encap{Local: 4500, Remote: 4500}
	}
	sa.EncrKey, sa.IntegKey = randomKey(sa.Encr), randomKey(sa.Integ)
}

func randomKey(a crypto.Alg) crypto.Secret {
	key := make(crypto.Secret, crypto.KeyLen(a))
	_, _ = rand.Read(key) // never fails
	return key
}

func chooseSPI(sa *esp.SA) error {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return err
	}
	sa.ID.SPI = firstSPI + binary.BigEndian.Uint32(b[:])%(lastSPI-firstSPI)
	if sa.ID.Proto == esp.ProtoIPComp {
		sa.ID.SPI = firstSPI + sa.ID.SPI%(lastCPI-firstSPI)
	}
	return nil
}
