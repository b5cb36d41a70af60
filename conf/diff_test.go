package conf

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

func sample(name string) *Connection {
	c := DefaultConnection()
	c.Name, c.Gateways = name, Gateways{{Prefix: netip.MustParsePrefix("198.51.100.2/32")}}
	c.Proposals = crypto.DefaultProposals(crypto.IKE)
	c.PSK = crypto.Secret("a secret that nobody sees")
	c.Children = []*Child{sampleChild("lan"), sampleChild("dmz")}
	return c
}

func sampleChild(name string) *Child {
	c := DefaultChild()
	c.Name = name
	c.Local, c.Remote = []Selector{sel("10.1.0.0", "10.1.255.255", 0, 0, 65535)}, []Selector{sel("10.2.0.0", "10.2.255.255", 0, 0, 65535)}
	c.Proposals = crypto.DefaultProposals(crypto.ESP)
	return c
}

func sampleConfig(names ...string) *Config {
	c := Default()
	for _, name := range names {
		c.Connections = append(c.Connections, sample(name))
	}
	return c
}

func TestDiff(t *testing.T) {
	old, now := sampleConfig("a", "b", "c"), sampleConfig("d", "c", "a")
	a := now.Connections[2]
	a.PSK = crypto.Secret("another that nobody sees")
	a.Lifetime = time.Hour
	a.Children[0].Remote = a.Children[0].Remote[:0]
	a.Children[1].Name = "dmz2"
	want := []string{
		"d: add", "c: unchanged",
		"a: reauthenticate (lifetime, pre_shared_key, phase2 lan: remote_network, phase2 dmz2 added, phase2 dmz removed)",
		"b: remove",
	}
	plan := Diff(old, now)
	for i, w := range want {
		if i >= len(plan) || plan[i].String() != w {
			t.Fatalf("%v\nwant %v", plan, want)
		}
	}
	if len(plan) != len(want) || strings.Contains(fmt.Sprintf("%+v", plan), "nobody sees") {
		t.Errorf("%+v", plan)
	}
	if p := Diff(now, now); p[0].Verdict != Unchanged || p[1].Verdict != Unchanged || p[2].Verdict != Unchanged || len(p) != 3 {
		t.Errorf("compared with itself: %v", p)
	}
	c := sampleConfig("a")
	c.Connections[0].Children[0], c.Connections[0].Children[1] = c.Connections[0].Children[1], c.Connections[0].Children[0]
	if p := Diff(sampleConfig("a"), c); p[0].String() != "a: in place (order of phase2)" {
		t.Error(p)
	}
}

// A change of any field of the model is seen, so that no new field is forgotten.
func TestDiffKnowsEveryField(t *testing.T) {
	for field := range reflect.TypeFor[Connection]().NumField() {
		name := reflect.TypeFor[Connection]().Field(field).Name
		if name == "Name" || name == "Children" {
			continue
		}
		c := sampleConfig("a")
		touch(t, reflect.ValueOf(c.Connections[0]).Elem().Field(field))
		if p := Diff(sampleConfig("a"), c); p[0].Verdict == Unchanged || len(p[0].Keys) != 1 {
			t.Errorf("Connection.%s changed: %v", name, p)
		}
	}
	for field := range reflect.TypeFor[Child]().NumField() {
		name := reflect.TypeFor[Child]().Field(field).Name
		if name == "Name" || name == "Kernel" || name == "DefaultProposals" { // the last changes no proposal
			continue
		}
		c := sampleConfig("a")
		touch(t, reflect.ValueOf(c.Connections[0].Children[0]).Elem().Field(field))
		if p := Diff(sampleConfig("a"), c); p[0].Verdict == Unchanged || len(p[0].Keys) != 1 {
			t.Errorf("Child.%s changed: %v", name, p)
		}
	}
}

// So is a change of what the data plane is asked for.
func TestDiffKnowsTheKernel(t *testing.T) {
	for field := range reflect.TypeFor[Kernel]().NumField() {
		c := sampleConfig("a")
		touch(t, reflect.ValueOf(&c.Connections[0].Children[0].Kernel).Elem().Field(field))
		if p := Diff(sampleConfig("a"), c); p[0].Verdict == Unchanged || len(p[0].Keys) != 1 {
			t.Errorf("Kernel.%s changed: %v", reflect.TypeFor[Kernel]().Field(field).Name, p)
		}
	}
}

// touch changes a field to another value of its type.
func touch(t *testing.T, v reflect.Value) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *Gateways:
		*x = Gateways{{Host: "example.org"}}
	case *netip.Addr:
		*x = netip.MustParseAddr("192.0.2.9")
	case *Auth:
		x.ID = id.ID{Kind: id.FQDN, Data: "example.org"}
	case *Mark:
		x.Mask++
	case *[]crypto.Proposal:
		*x = (*x)[1:]
	case *crypto.Secret:
		*x = append(*x, 'x')
	case *[]Selector:
		*x = append(*x, (*x)[0])
	case *[]string:
		*x = append(*x, "x")
	case *[]Secret:
		*x = append(*x, Secret{Name: "x"})
	case **UniqueIDs:
		never := UniqueNever
		*x = &never
	case **Behavior:
		start := Start
		*x = &start
	case **DPDAction:
		hold := DPDHold
		*x = &hold
	case **Renewal:
		*x = &Renewal{Margin: 1}
	default:
		switch {
		case v.CanInt():
			v.SetInt(v.Int() + 1)
		case v.CanUint():
			v.SetUint(v.Uint() + 1)
		case v.Kind() == reflect.Bool:
			v.SetBool(!v.Bool())
		case v.CanFloat():
			v.SetFloat(v.Float() + 1)
		case v.Kind() == reflect.Struct:
			touch(t, v.Field(0))
		case v.Kind() == reflect.String:
			v.SetString(v.String() + "x")
		default:
			t.Fatalf("how is a %s changed?", v.Type())
		}
	}
}

// What is done is no more than what has changed asks for.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		change func(*Connection)
		want   Verdict
	}{
		{func(*Connection) {}, Unchanged},
		{func(c *Connection) { c.DPDDelay++ }, InPlace},
		{func(c *Connection) { c.Lifetime++ }, InPlace},
		{func(c *Connection) { c.Behavior = OnDemand }, InPlace},
		{func(c *Connection) { c.Behavior = ResponderOnly }, Reauthenticate},
		{func(c *Connection) { c.Children[0].Description = "x" }, InPlace},
		{func(c *Connection) { c.Children[0].Lifetime++ }, RekeyChild},
		{func(c *Connection) { c.Children[0].Remote = c.Children[0].Remote[:0] }, RekeyChild},
		{func(c *Connection) { c.Children = c.Children[:1] }, RekeyChild},
		{func(c *Connection) { c.Children = append(c.Children, sampleChild("more")) }, RekeyChild},
		{func(c *Connection) { c.Children[0].Lifetime++; c.DPDDelay++ }, RekeyChild},
		{func(c *Connection) { c.Children[0].Lifetime++; c.PSK = crypto.Secret("other") }, Reauthenticate},
		{func(c *Connection) { c.Proposals = c.Proposals[:1]; c.DPDDelay++ }, Reauthenticate},
	} {
		conn := sample("a")
		c.change(conn)
		if got := Compare(sample("a"), conn); got.Verdict != c.want || (len(got.Keys) == 0) != (c.want == Unchanged) {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}

// What reads as before is the same connection afterwards.
func TestPlanKeep(t *testing.T) {
	old, c := sampleConfig("a", "b", "c"), sampleConfig("c", "b", "d")
	c.Connections[1].DPDDelay++
	kept := Diff(old, c).Keep(old, c)
	if kept.Connections[0] != old.Connections[2] || kept.Connections[1] != c.Connections[1] || kept.Connections[2] != c.Connections[2] {
		t.Error("not the connections of before, or too many of them")
	}
	if c.Connections[0] == old.Connections[2] || len(kept.Connections) != 3 {
		t.Error("the new configuration was changed itself")
	}
}
