package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/child"
)

// Fit compares a configuration with what a data plane can do. What the data plane
// lacks is an error that names connection, child and algorithm; of default proposals it
// is left out instead, and said in notes. The result shares with c what was not
// changed.
func Fit(ctx context.Context, plane DataPlane, c *conf.Config) (fitted *conf.Config, notes []string, err error) {
	f := fitting{ctx: ctx, plane: plane, answers: make(map[question][]error)}
	out := *c
	out.Connections = slices.Clone(c.Connections)
	for i, conn := range c.Connections {
		out.Connections[i] = f.connection(conn)
	}
	return &out, f.notes, errors.Join(f.errs...)
}

type fitting struct {
	ctx   context.Context
	plane DataPlane
	notes []string
	errs  []error
	// answers are those of the data plane: most tunnels of a configuration ask the same.
	answers map[question][]error
}

// question is what a data plane looks at of a tunnel in tunnel mode, and of the algorithms
// that it is asked about (child.Sample).
type question struct {
	proto       crypto.Proto
	window      uint32
	kernel      conf.Kernel
	encr, integ crypto.Alg
	ipcomp      bool
}

func (f *fitting) connection(c *conf.Connection) *conf.Connection {
	out := *c
	out.Children = slices.Clone(c.Children)
	changed := false
	for i, k := range c.Children {
		if k.Mode.Shunt() {
			continue
		}
		if fitted := f.child(c, k); fitted != k {
			out.Children[i], changed = fitted, true
		}
	}
	if !changed {
		return c
	}
	return &out
}

// child returns the child with the proposals that can be used.
func (f *fitting) child(conn *conf.Connection, c *conf.Child) *conf.Child {
	var lacks []error
	kept := make([]crypto.Proposal, 0, len(c.Proposals))
	for _, p := range c.Proposals {
		p, missing := f.proposal(c, p)
		lacks = append(lacks, missing...)
		if p.Validate() == nil {
			kept = append(kept, p)
		}
	}
	if c.IPComp {
		lacks = append(lacks, f.check(c, crypto.Alg{}, crypto.Alg{}, true)...)
	}
	lacks = distinct(lacks)
	if len(lacks) == 0 {
		return c
	}
	where := fmt.Sprintf("phase 1 %s, phase 2 %s", conn.Name, c.Name)
	if !c.DefaultProposals || len(kept) == 0 || !f.onlyAlgorithms(c) {
		for _, err := range lacks {
			f.errs = append(f.errs, fmt.Errorf("%s: %w", where, err))
		}
		return c
	}
	words := make([]string, len(lacks))
	for i, err := range lacks {
		words[i] = err.Error()
	}
	f.notes = append(f.notes, fmt.Sprintf("%s: left out of the default proposals: %s", where, strings.Join(words, "; ")))
	out := *c
	out.Proposals = kept
	return &out
}

// onlyAlgorithms tells whether what is lacking can be mended by other algorithms.
func (f *fitting) onlyAlgorithms(c *conf.Child) bool {
	return !c.IPComp || len(f.check(c, crypto.Alg{}, crypto.Alg{}, true)) == 0
}

// proposal returns what of a proposal can be used, and why the rest cannot.
func (f *fitting) proposal(c *conf.Child, p crypto.Proposal) (crypto.Proposal, []error) {
	encr, integ := p.Of(crypto.Encr), p.Of(crypto.Integ)
	if len(encr) == 0 {
		encr = []crypto.Alg{{}} // AH
	}
	if len(integ) == 0 {
		integ = []crypto.Alg{{}} // combined-mode ciphers
	}
	usable := make(map[crypto.Alg]bool)
	why := make(map[crypto.Alg]error)
	for _, e := range encr {
		for _, i := range integ {
			errs := f.check(c, e, i, false)
			for _, a := range []crypto.Alg{e, i} {
				if len(errs) == 0 {
					usable[a] = true
				} else if why[a] == nil {
					why[a] = errs[0]
				}
			}
		}
	}
	out := crypto.Proposal{Proto: p.Proto}
	var lacks []error
	for _, a := range p.Algs {
		if a.Type != crypto.Encr && a.Type != crypto.Integ || usable[a] {
			out.Algs = append(out.Algs, a)
			continue
		}
		lacks = append(lacks, why[a])
	}
	return out, lacks
}

// check asks the data plane, once for all tunnels that differ in their networks only. What
// it could not find out is tried when it is needed.
func (f *fitting) check(c *conf.Child, encr, integ crypto.Alg, ipcomp bool) []error {
	if c.Mode != conf.Tunnel { // SAs of the others have the networks in them
		return f.ask(child.Sample(c, encr, integ, ipcomp))
	}
	q := question{c.Protocol, c.Window, c.Kernel, encr, integ, ipcomp}
	errs, known := f.answers[q]
	if !known {
		errs = f.ask(child.Sample(c, encr, integ, ipcomp))
		f.answers[q] = errs
	}
	return errs
}

func (f *fitting) ask(sa esp.SA) []error {
	any4 := netip.IPv4Unspecified()
	sa.Src, sa.ID.Dst, sa.Dir = any4, any4, esp.In
	err := f.plane.Check(f.ctx, sa)
	if !errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return []error{errors.New(strings.TrimSuffix(err.Error(), ": "+errors.ErrUnsupported.Error()))}
}

// distinct drops errors that say the same.
func distinct(errs []error) []error {
	var out []error
	for _, err := range errs {
		if !slices.ContainsFunc(out, func(o error) bool { return o.Error() == err.Error() }) {
			out = append(out, err)
		}
	}
	return out
}
