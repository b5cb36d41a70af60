package conf

import (
	"testing"
	"time"
)

// A child is replaced as its connection says, unless it says so itself.
func TestRenewalOf(t *testing.T) {
	conn := &Connection{Margin: 10 * time.Minute, RekeyFuzz: 50}
	child := &Child{LifetimeBytes: 1000, LifetimePackets: 200}
	if got, want := conn.RenewalOf(child), (Renewal{10 * time.Minute, 5 * time.Minute, 100, 50, 20, 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	own := Renewal{Margin: time.Minute}
	child.Renewal = &own
	if got := conn.RenewalOf(child); got != own {
		t.Errorf("%+v, want %+v", got, own)
	}
	c := &Config{UniqueIDs: UniqueKeep}
	never := UniqueNever
	if c.Unique(conn) != UniqueKeep || c.Unique(&Connection{UniqueIDs: &never}) != UniqueNever {
		t.Error("unique_ids of a connection")
	}
}

func TestDynamicSelectors(t *testing.T) {
	s := Selector{Proto: 6, PortFirst: 443, PortLast: 443}
	if !s.Dynamic() || s.String() != "dynamic[tcp/443]" || (Selector{PortLast: 65535}).String() != "dynamic" {
		t.Error(s)
	}
	net, err := ParseSelector("10.1.0.0/16")
	if err != nil || net.Dynamic() || Dynamic([]Selector{net}) || !Dynamic([]Selector{net, s}) || !Dynamic(nil) {
		t.Error(net, err)
	}
	if lone := paired([]Selector{s}, []Selector{net}); len(lone) != 0 { // TCP of any address goes with all of a network
		t.Error(lone)
	}
}
