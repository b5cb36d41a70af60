package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// called are the commands that came to the backend.
func (f *fake) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func TestRekey(t *testing.T) {
	f := newFake()
	f.matches = 2
	c := dial(t, serve(t, f, Options{}))
	if got := ask(t, c, "rekey", nil, "ike", "site", "child", "lan", "child-id", "3", "ike-id", "7", "reauth", "yes"); got != "{success=yes matches=2}" {
		t.Error(got)
	}
	f.set(func() { f.err, f.matches = errRefused, 0 })
	if got := ask(t, c, "rekey", nil, "ike", "site"); got != "{success=no matches=0 errmsg="+errRefused.Error()+"}" {
		t.Error(got)
	}
	if got := ask(t, c, "rekey", nil, "reauth", "yes"); got != "{success=no errmsg=missing rekey selector}" {
		t.Error(got)
	}
	if got := ask(t, c, "rekey", nil, "ike-id", "x"); !strings.Contains(got, `ike-id = "x" is not a number`) {
		t.Error(got)
	}
	want := []string{
		fmt.Sprintf("rekey %+v", RekeyRequest{Conn: "site", Child: "lan", ConnID: 7, ChildID: 3, Reauth: true}),
		fmt.Sprintf("rekey %+v", RekeyRequest{Conn: "site"}),
	}
	if got := f.called(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPolicies(t *testing.T) {
	f := newFake()
	c := dial(t, serve(t, f, Options{}))
	lan := "list-policy {site/lan {child=lan ike=site mode=TUNNEL local-ts=[10.1.0.0/16] remote-ts=[10.2.0.0/16]}}\n"
	printers := "list-policy {site/printers {child=printers ike=site mode=PASS local-ts=[10.1.0.0/16] remote-ts=[10.1.0.0/16]}}\n"
	rest := "list-policy {hq/rest {child=rest ike=hq mode=DROP local-ts=[10.1.0.0/16] remote-ts=[10.2.0.0/16]}}\n"
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, ""}, {[]string{"trap", "yes"}, lan}, {[]string{"pass", "yes"}, printers}, {[]string{"drop", "yes"}, rest},
		{[]string{"trap", "yes", "pass", "yes", "drop", "yes"}, lan + printers + rest},
		{[]string{"trap", "yes", "pass", "yes", "drop", "yes", "child", "rest"}, rest},
		{[]string{"trap", "yes", "drop", "yes", "ike", "site"}, lan},
	} {
		if got := ask(t, c, "list-policies", []string{"list-policy"}, test.args...); got != test.want+"{}" {
			t.Errorf("%v: %s", test.args, got)
		}
	}
	for _, command := range []string{"install", "uninstall"} {
		if got := ask(t, c, command, nil, "ike", "site", "child", "lan"); got != "{success=yes}" {
			t.Error(got)
		}
		if got := ask(t, c, command, nil, "ike", "site"); got != "{success=no errmsg=missing configuration name}" {
			t.Error(got)
		}
	}
	f.set(func() { f.err = errRefused })
	if got := ask(t, c, "uninstall", nil, "child", "lan"); got != "{success=no errmsg="+errRefused.Error()+"}" {
		t.Error(got)
	}
	if got, want := f.called(), []string{"install site lan", "uninstall site lan", "uninstall  lan"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Counters come in strongSwan's order, those of the daemon under an empty name.
func TestCounters(t *testing.T) {
	f := newFake()
	c := dial(t, serve(t, f, Options{}))
	of := func(rekeys, initIn, infoOut int) string {
		return fmt.Sprintf("{ike-rekey-init=0 ike-rekey-resp=0 child-rekey=%d invalid=0 invalid-spi=0 ike-init-in-req=%d ike-init-in-resp=0 "+
			"ike-init-out-req=0 ike-init-out-resp=0 ike-auth-in-req=0 ike-auth-in-resp=0 ike-auth-out-req=0 ike-auth-out-resp=0 "+
			"create-child-in-req=0 create-child-in-resp=0 create-child-out-req=0 create-child-out-resp=0 "+
			"info-in-req=0 info-in-resp=0 info-out-req=0 info-out-resp=%d}", rekeys, initIn, infoOut)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "{counters { " + of(0, 12, 7) + "} success=yes}"},
		{[]string{"name", "site"}, "{counters {site " + of(3, 0, 0) + "} success=yes}"},
		{[]string{"all", "yes"}, "{counters {hq " + of(0, 0, 0) + " site " + of(3, 0, 0) + "} success=yes}"},
		{[]string{"name", "nobody"}, "{success=no errmsg=no counters found for this connection}"},
	} {
		if got := ask(t, c, "get-counters", nil, test.args...); got != test.want {
			t.Errorf("%v: %s\nwant %s", test.args, got, test.want)
		}
	}
	for _, args := range [][]string{nil, {"name", "site"}, {"all", "yes"}} {
		if got := ask(t, c, "reset-counters", nil, args...); got != "{success=yes}" {
			t.Errorf("%v: %s", args, got)
		}
	}
	if got, want := f.called(), []string{"reset false ", "reset false site", "reset true "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Every algorithm is named once, under strongSwan's headings.
func TestAlgorithms(t *testing.T) {
	c := dial(t, serve(t, newFake(), Options{}))
	m, err := c.Call(within(t), "get-algorithms", nil)
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for name, sec := range m.Sections() {
		headings = append(headings, name)
		seen := make(map[string]bool)
		for alg, by := range sec.Values() {
			if seen[alg] || by != "goike" {
				t.Errorf("%s: %s=%s", name, alg, by)
			}
			seen[alg] = true
		}
	}
	if got := strings.Join(headings, " "); got != "encryption integrity aead hasher prf xof kdf drbg dh rng nonce-gen" {
		t.Error(got)
	}
	for heading, alg := range map[string]string{
		"encryption": "AES_CBC", "integrity": "HMAC_SHA2_256_128", "aead": "AES_GCM_16", "prf": "PRF_HMAC_SHA2_256", "dh": "CURVE_25519",
	} {
		if !m.Section(heading).Has(alg) {
			t.Errorf("no %s in %s: %v", alg, heading, m)
		}
	}
	if m.Section("encryption").Has("AES_GCM_16") {
		t.Error("AES_GCM_16 authenticates by itself")
	}
}
