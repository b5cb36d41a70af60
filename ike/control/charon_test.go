package control

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
)

// charon returns what charon wrote under that name, in the form of Message.String.
func charon(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/charon.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("testdata/charon.txt has no %q", name)
	return ""
}

func same(t *testing.T, name, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\ncharon has:\n%s", name, got, want)
	}
}

// The same SAs are told in the very words, keys and order of charon.
func TestListSAsAsCharon(t *testing.T) {
	c := dial(t, serve(t, newFake(), Options{}))
	got := ask(t, c, "list-sas", []string{"list-sa"})
	same(t, "list-sas", got, "list-sa "+charon(t, "list-sa-site")+"\nlist-sa "+charon(t, "list-sa-v6")+"\n{}")
}

func TestListConnsAsCharon(t *testing.T) {
	f := newFake()
	f.config.UniqueIDs = conf.UniqueReplace
	site, hq := f.config.Connections[0], f.config.Connections[1]
	site.DPDAction, site.DPDDelay = conf.DPDRestart, 30*time.Second
	c := dial(t, serve(t, f, Options{}))
	// charon has the action by child.
	want := strings.Replace(charon(t, "list-conn-site"), "dpd_action=trap", "dpd_action=start", 1)
	same(t, "site", ask(t, c, "list-conns", []string{"list-conn"}, "ike", "site"), "list-conn "+want+"\n{}")

	f.mu.Lock()
	f.config.UniqueIDs = conf.UniqueKeep
	hq.Name, hq.Rekey, hq.Reauthenticate, hq.Lifetime, hq.Margin = "any", true, true, 3*time.Hour+9*time.Minute, 9*time.Minute
	hq.DPDAction, hq.DPDDelay = conf.DPDClear, 10*time.Second
	hq.Children = []*conf.Child{{Name: "all", Protocol: crypto.ESP, Remote: hq.Children[0].Remote}}
	f.mu.Unlock()
	same(t, "any", ask(t, c, "list-conns", []string{"list-conn"}, "ike", "any"), "list-conn "+charon(t, "list-conn-any")+"\n{}")
}

// sampleReport is about the SA of which charon told when it came and went.
func sampleReport(kind ike.ReportKind) ike.Report {
	st := sampleSAs()[1].Status
	st.Established, st.RekeyAt = fakeNow, fakeNow.Add(13309*time.Second)
	st.Children[0].Installed, st.Children[0].RekeyAt, st.Children[0].ExpireAt = fakeNow, fakeNow.Add(3392*time.Second), fakeNow.Add(3960*time.Second)
	return ike.Report{Kind: kind, Conn: "site", IKE: st.ID, SA: &st}
}

func TestUpdownAsCharon(t *testing.T) {
	r := sampleReport(ike.IKEUp)
	r.SA.Active = []string{"IKE_ESTABLISH", "CHILD_CREATE"}
	same(t, "ike-up", updown(r, fakeNow, true).String(), charon(t, "ike-up"))

	r.SA.Active = []string{"CHILD_CREATE"}
	same(t, "child-up", childUpdown(r, fakeNow, true).String(), charon(t, "child-up"))

	r.SA.ID, r.SA.State, r.SA.SPIi, r.SA.SPIr, r.SA.Active = 3, ike.Deleting, 0x3ae0ff232d581fbf, 0x6c7cd16b301fdde0, []string{"IKE_DELETE"}
	same(t, "ike-down", updown(r, fakeNow, false).String(), charon(t, "ike-down"))

	c := &r.SA.Children[0]
	c.ID, c.SPIIn, c.SPIOut = 7, 0xd411d9c3, 0xb685c90d
	c.Installed, c.RekeyAt, c.ExpireAt = fakeNow.Add(-3*time.Second), fakeNow.Add(3278*time.Second), fakeNow.Add(3957*time.Second)
	// Reports do not tell what a child has carried.
	want := strings.Replace(charon(t, "child-down"), "bytes-in=0 packets-in=0 bytes-out=0 packets-out=0 ", "", 1)
	same(t, "child-down", childUpdown(r, fakeNow, false).String(), want)
}

func TestRekeyAsCharon(t *testing.T) {
	r := sampleReport(ike.IKERekeyed)
	r.NewID = 3
	r.SA.State, r.SA.SPIi, r.SA.SPIr, r.SA.Active = ike.Rekeying, 0x84f82929b2b947db, 0x43359009db3828fc, []string{"IKE_REKEY"}
	want := charon(t, "ike-rekey")
	i := strings.Index(want, " new {")
	same(t, "ike-rekey", ikeRekey(r, fakeNow).String(), want[:i]+" new {uniqueid=3}}}")

	r.SA.ID, r.SA.State, r.SA.SPIi, r.SA.SPIr, r.SA.Active = 3, ike.Up, 0x4beb7e4f07a12eec, 0x0310fa820b13b5e9, nil
	r.SA.RekeyAt = fakeNow.Add(14026 * time.Second)
	same(t, "ike-rekey", ikeRekey(r, fakeNow).String(), "{site {old {uniqueid=1}"+want[i:])

	r = sampleReport(ike.ChildRekeyed)
	r.Child, r.ChildID, r.NewID = "lan", 1, 5
	r.SA.SPIi, r.SA.SPIr, r.SA.Active = 0x634fb263dc6f20f8, 0xe1a73c6442c570af, []string{"CHILD_REKEY"}
	r.SA.Established, r.SA.RekeyAt = fakeNow.Add(-time.Second), fakeNow.Add(13645*time.Second)
	older, newer := r.SA.Children[0], r.SA.Children[0]
	older.ID, older.State, older.SPIIn, older.SPIOut = 1, ike.ChildRekeyedState, 0xd2028529, 0xaab2b8b9
	older.Installed, older.RekeyAt, older.ExpireAt = fakeNow.Add(-time.Second), fakeNow.Add(3436*time.Second), fakeNow.Add(3959*time.Second)
	newer.ID, newer.SPIIn, newer.SPIOut, newer.RekeyAt = 5, 0x905daab1, 0x7b2a8a61, fakeNow.Add(3462*time.Second)
	r.SA.Children = []ike.ChildStatus{older, newer}
	want = strings.Replace(charon(t, "child-rekey"), "bytes-in=0 packets-in=0 bytes-out=0 packets-out=0 ", "", 1)
	same(t, "child-rekey", childRekey(r, fakeNow).String(), want)
}

var valueOf = regexp.MustCompile(`=[^ {}\[\]]*( seconds| [0-9]{2} [0-9:]* [0-9]{4})?`)

// The other messages have the keys of charon; values differ.
func TestKeysAsCharon(t *testing.T) {
	f := newFake()
	c := dial(t, serve(t, f, Options{}))
	keys := func(s string) string { return valueOf.ReplaceAllString(s, "=") }

	stats, want := ask(t, c, "stats", nil), charon(t, "stats")
	stats = stats[:strings.Index(stats, " plugins=")]
	same(t, "stats", keys(stats), keys(want[:strings.Index(want, " plugins=")]))
	same(t, "version", keys(ask(t, c, "version", nil)), keys(charon(t, "version")))

	l := LogLine{Level: 0, Subsystem: "ike", Conn: "site", IKE: 1, Text: "initiating IKE_SA site[1] to 198.51.100.2"}
	same(t, "control-log", logMessage(l, false).String(), charon(t, "control-log"))
	same(t, "log", logMessage(l, true).String(), strings.Replace(charon(t, "log"), "thread=11", "thread=0", 1))

	same(t, "initiate", ask(t, c, "initiate", nil, "child", "lan"), charon(t, "initiated"))
	f.set(func() { f.matches = 1 })
	same(t, "terminate", ask(t, c, "terminate", nil, "ike", "site"), charon(t, "terminated"))
	f.set(func() { f.matches, f.err = 0, errText("no matching SAs to terminate found") })
	same(t, "terminate", ask(t, c, "terminate", nil, "ike", "site"), charon(t, "not-terminated"))
	f.set(func() { f.err = errText("IKE_SA config 'nosuch' not found") })
	same(t, "initiate", ask(t, c, "initiate", nil, "ike", "nosuch"), charon(t, "not-initiated"))
}

type errText string

func (e errText) Error() string { return string(e) }

// What charon leaves out where it is not so, we leave out too; what is not known
// yet is written as charon writes it.
func TestUncommonSA(t *testing.T) {
	st := ike.Status{ID: 9, Version: 2, State: ike.Connecting, SPIi: 1, Established: ike.Never, RekeyAt: ike.Never, ExpireAt: ike.Never, Queued: []string{"CHILD_CREATE"}}
	m := &Message{}
	addSA(m.AddSection(nameOf(st.Conn)), fakeNow, st, nil)
	same(t, "half open", m.String(), "{(unnamed) {uniqueid=9 version=2 state=CONNECTING local-host=%any local-port=0 local-id=%any "+
		"remote-host=%any remote-port=0 remote-id=%any initiator-spi=0000000000000001 responder-spi=0000000000000000 "+
		"tasks-queued=[CHILD_CREATE] child-sas {}}}")

	sa := sampleSAs()[1]
	sa.NATLocal, sa.NATRemote, sa.ForceEncap, sa.State = false, false, true, 200
	sa.RemoteID = id.ID{}
	c := sa.Children[0]
	c.Mode, c.Encap, c.State, c.SPIOut = conf.Transport, false, ike.ChildCreated, 0
	c.Suite = alg("aes256-sha256-modp2048-esn", c.Proto)
	c.Installed, c.RekeyAt, c.ExpireAt = ike.Never, ike.Never, ike.Never
	m = &Message{}
	addIKE(m, fakeNow, sa.Status)
	if got := m.String(); !strings.Contains(got, " state=200 ") || !strings.Contains(got, " remote-id=%any ") || !strings.Contains(got, " nat-fake=yes nat-any=yes ") {
		t.Error(got)
	}
	m = &Message{}
	addChild(m, fakeNow, usedChild{ChildStatus: c})
	same(t, "child", m.String(), "{name=lan uniqueid=2 reqid=1 state=CREATED mode=TRANSPORT protocol=ESP spi-in=d53b77cc "+
		"encr-alg=AES_CBC encr-keysize=256 integ-alg=HMAC_SHA2_256_128 dh-group=MODP_2048 esn=1 "+
		"local-ts=[10.1.0.0/16 fd01:0:0:1::/64] remote-ts=[10.2.0.0/16 fd02:0:0:1::/64]}")
}
