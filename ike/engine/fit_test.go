package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
)

// limited is a data plane that lacks some algorithms and protocols.
type limited struct {
	None
	lacks []string
	asked int
}

func (l *limited) Check(_ context.Context, sa esp.SA) error {
	l.asked++
	words := []string{fmt.Sprint("proto", sa.ID.Proto)}
	for _, a := range []crypto.Alg{sa.Encr, sa.Integ} {
		if a != (crypto.Alg{}) {
			words = append(words, a.String())
		}
	}
	for _, w := range words {
		if slices.Contains(l.lacks, w) {
			return fmt.Errorf("this kernel lacks %s: %w", w, errors.ErrUnsupported)
		}
	}
	return nil
}

func proposalsOf(t *testing.T, words ...string) []crypto.Proposal {
	t.Helper()
	var out []crypto.Proposal
	for _, w := range words {
		p, err := crypto.ParseProposal(crypto.ESP, w)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		name     string
		lacks    []string
		defaults bool
		ipcomp   bool
		in       []string
		out      []string
		note     string
		err      string
	}{
		{name: "everything is there", in: []string{"aes128-sha256"}, out: []string{"aes128-sha256"}},
		{name: "an algorithm was asked for", lacks: []string{"chacha20poly1305"}, in: []string{"aes128gcm16-chacha20poly1305"},
			err: "phase 1 site, phase 2 lan: this kernel lacks chacha20poly1305"},
		{name: "of the defaults it is left out", lacks: []string{"chacha20poly1305"}, defaults: true,
			in: []string{"aes128gcm16-chacha20poly1305", "aes128-sha256"}, out: []string{"aes128gcm16", "aes128-sha256"}, note: "chacha20poly1305"},
		{name: "a whole proposal is left out", lacks: []string{"aes128gcm16"}, defaults: true,
			in: []string{"aes128gcm16", "aes128-sha256"}, out: []string{"aes128-sha256"}, note: "aes128gcm16"},
		{name: "one of several", lacks: []string{"sha512"}, defaults: true,
			in: []string{"aes128-sha256-sha512"}, out: []string{"aes128-sha256"}, note: "sha512"},
		{name: "nothing is left", lacks: []string{"aes128gcm16"}, defaults: true, in: []string{"aes128gcm16"}, err: "lacks aes128gcm16"},
		{name: "no compression", lacks: []string{"proto108"}, defaults: true, ipcomp: true, in: []string{"aes128gcm16"}, err: "lacks proto108"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := siteConfig(conf.OnDemand)
			k := cfg.Connections[0].Children[0]
			cfg.Connections[0].Children = cfg.Connections[0].Children[:1]
			k.Protocol, k.Proposals, k.DefaultProposals, k.IPComp = crypto.ESP, proposalsOf(t, c.in...), c.defaults, c.ipcomp
			got, notes, err := Fit(t.Context(), &limited{lacks: c.lacks}, cfg)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, p := range got.Connections[0].Children[0].Proposals {
				words = append(words, p.String())
			}
			if !slices.Equal(words, c.out) {
				t.Errorf("%q, want %q", words, c.out)
			}
			if text := strings.Join(notes, "\n"); !strings.Contains(text, c.note) || c.note == "" && text != "" {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if len(k.Proposals) != len(c.in) {
				t.Error("the configuration itself was changed")
			}
		})
	}
}

// The data plane is asked once about tunnels that differ in their networks only.
func TestFitAsksOnce(t *testing.T) {
	cfg := siteConfig(conf.OnDemand)
	conn := cfg.Connections[0]
	k := *conn.Children[0]
	k.Protocol, k.Proposals, k.Mode = crypto.ESP, proposalsOf(t, "aes128gcm16-aes256gcm16", "aes128-sha256"), conf.Tunnel
	other, marked := k, k
	other.Remote, marked.Kernel.MarkIn = k.Local, conf.Mark{Value: 1, Mask: 1}
	conn.Children = []*conf.Child{&k, &other, &marked}
	plane := &limited{lacks: []string{"aes256gcm16"}}
	_, _, err := Fit(t.Context(), plane, cfg)
	if err == nil || strings.Count(err.Error(), "lacks aes256gcm16") != 3 {
		t.Error(err)
	}
	if plane.asked != 6 {
		t.Errorf("asked %d times", plane.asked)
	}
}
