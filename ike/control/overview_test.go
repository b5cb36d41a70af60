package control

import (
	"testing"

	"github.com/goike/goike/ike"
)

func TestStatusCommand(t *testing.T) {
	f := newFake()
	f.sas[0].Conn = "gone" // removed from the configuration
	f.sas[1].State = ike.Rekeying
	f.sas[1].LastError = &ike.Refusal{Cause: ike.WrongKey, Notify: "AUTHENTICATION_FAILED"}
	c := dial(t, serve(t, f, Options{}))
	o, err := c.Status(within(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if o.Daemon != "goike" || o.Version != "1.2.3" || o.Dataplane != "userspace (asked for)" {
		t.Errorf("%+v", o)
	}
	if len(o.Connections) != 2 || len(o.OtherSAs) != 1 || o.OtherSAs[0].Conn != "gone" || o.Conn("gone") != nil {
		t.Fatalf("%+v", o)
	}
	site, hq := o.Conn("site"), o.Conn("hq")
	if site.State != "up" || site.NextTry != nil || site.LastError != nil || site.LocalAddress != "192.0.2.2" || len(site.SAs) != 1 {
		t.Errorf("%+v", site)
	}
	sa := site.SAs[0]
	if sa.InitiatorSPI != "0afeb07184f52d88" || sa.Suite != "aes256gcm16-prfsha256-curve25519" || *sa.Established != 10 || *sa.ExpireTime != 14739 ||
		!sa.Fragmentation || sa.LastError.Text != f.sas[1].LastError.String() || sa.LastError.Cause != "wrong-key" || sa.LastError.At != nil {
		t.Errorf("%+v", sa)
	}
	if child := sa.Children[0]; child.SPIIn != "d53b77cc" || child.Suite != "aes256gcm16" || child.BytesIn != 84 || *child.UseOut != 0 || !child.Encap {
		t.Errorf("%+v", child)
	}
	if hq.State != "waiting" || hq.Try != 2 || *hq.NextTry != 12 || hq.RemoteGateway != "hq.example.org" || hq.LocalAddress != "any" || hq.Identifier != "" {
		t.Errorf("%+v", hq)
	}
	want := f.conns[1].LastError
	e := hq.LastError
	if e.Text != want.String() || *e.At != 4 || e.Cause != "no-proposal" || !e.ByPeer || e.Notify != want.Notify || e.Offered != want.Offered || e.Hint != want.Hint {
		t.Errorf("%+v", e)
	}
	if o, err = c.Status(within(t), "site"); err != nil || len(o.Connections) != 1 || len(o.OtherSAs) != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = c.Status(within(t), "gone"); err != nil || len(o.Connections) != 0 || len(o.OtherSAs) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	// What is given up, and the age of what is about to end.
	f.set(func() { f.conns[1].GivenUp, f.sas[1].State = true, ike.Deleting })
	if o, err = c.Status(within(t), ""); err != nil || !o.Conn("hq").GivenUp || o.Conn("site").GivenUp || *o.Conn("site").SAs[0].Established != 10 {
		t.Errorf("%+v, %v", o, err)
	}
	// A connection that was just configured has no state yet.
	f.set(func() { f.conns = nil })
	if o, err = c.Status(within(t), "hq"); err != nil || o.Conn("hq").NextTry != nil {
		t.Errorf("%+v, %v", o, err)
	}
}

// The sections of list-sa have no suite in goike's words: the names of the
// algorithms stand in.
func TestReadSuite(t *testing.T) {
	m := &Message{}
	addIKE(m, fakeNow, sampleSAs()[0].Status)
	if got := ReadSA("v6", m).Suite; got != "AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048" {
		t.Error(got)
	}
	if got := ReadSA("", nil); got.Suite != "" || got.Established != nil || got.Children == nil {
		t.Errorf("%+v", got)
	}
}
