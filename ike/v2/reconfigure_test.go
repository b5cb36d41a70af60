package v2

import (
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// reconfigured gives a's IKE SA a changed connection.
func reconfigured(n *network, a *SA, change func(c *conf.Connection, lan *conf.Child)) {
	c, conn, lan := *n.a.conf, *n.a.conn(), *n.a.conn().Children[0]
	conn.Children = append([]*conf.Child{&lan}, conn.Children[1:]...)
	change(&conn, &lan)
	c.Connections = []*conf.Connection{&conn}
	n.a.step(a, ike.Configured{Config: &c, Conn: &conn})
}

// A phase 2 with another lifetime is rekeyed once, and the child that comes of it has it;
// with other networks it is left to the steward, and with another description it stays.
func TestConfiguredChild(t *testing.T) {
	n, a, _ := up(t)
	was := a.children[0].SPIIn
	reconfigured(n, a, func(_ *conf.Connection, lan *conf.Child) { lan.Lifetime = 2 * time.Hour })
	n.run()
	n.pass(2 * lateTime)
	n.established(1)
	c := a.children[0]
	if c.SPIIn == was || len(n.a.of(ike.ChildRekeyed)) != 1 || c.ExpireAt.Sub(c.Installed) != 2*time.Hour {
		t.Fatal(n.story())
	}
	was = c.SPIIn
	reconfigured(n, a, func(_ *conf.Connection, lan *conf.Child) { lan.Lifetime, lan.Description = 2*time.Hour, "new" })
	reconfigured(n, a, func(_ *conf.Connection, lan *conf.Child) { lan.Lifetime, lan.Kernel.Priority = 2*time.Hour, 7 })
	n.run()
	if a.children[0].SPIIn != was || len(n.a.of(ike.ChildRekeyed)) != 1 {
		t.Error(n.story())
	}
}

// An IKE SA has the times of the new configuration at once, counted from its beginning.
func TestConfiguredTimes(t *testing.T) {
	n, a, _ := up(t)
	begun := a.established
	reconfigured(n, a, func(c *conf.Connection, _ *conf.Child) {
		c.Lifetime, c.Margin, c.RekeyFuzz, c.Rekey = 30*time.Hour, time.Hour, 0, true
	})
	if a.expireAt != begun.Add(30*time.Hour) || a.rekeyAt != begun.Add(29*time.Hour) {
		t.Errorf("expires after %s, rekeyed after %s", a.expireAt.Sub(begun), a.rekeyAt.Sub(begun))
	}
	// One that would be over is replaced at once.
	n.pass(20 * time.Minute)
	if len(n.a.of(ike.IKERekeyed)) != 0 {
		t.Fatal(n.story())
	}
	reconfigured(n, a, func(c *conf.Connection, _ *conf.Child) {
		c.Lifetime, c.Margin, c.RekeyFuzz, c.Rekey = 10*time.Minute, time.Minute, 0, true
	})
	n.pass(10 * time.Second)
	if len(n.a.of(ike.IKERekeyed)) != 1 || len(n.a.list()) != 1 {
		t.Error(n.story())
	}
}

// What asks for a new IKE SA changes nothing of the one that is there.
func TestConfiguredAnew(t *testing.T) {
	n, a, _ := up(t)
	expire, rekey, was := a.expireAt, a.rekeyAt, a.children[0].SPIIn
	reconfigured(n, a, func(c *conf.Connection, lan *conf.Child) { c.Lifetime++; c.ForceEncap = !c.ForceEncap; lan.Lifetime++ })
	n.run()
	if a.expireAt != expire || a.rekeyAt != rekey || a.children[0].SPIIn != was {
		t.Error(n.story())
	}
}
