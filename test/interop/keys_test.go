//go:build linux

package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// Keys of goike.toml that say how the daemon itself is: where it is asked, what it logs
// and counts, and whether it leads traffic into its tunnels. (test/sim has the others.)
func TestKeysOfTheDaemon(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	b.start(t)
	socket := filepath.Join(t.TempDir(), "control")
	a.daemon = fmt.Sprintf("[control]\nsocket = %q\n[metrics]\nlisten = \"127.0.0.1:9814\"\n[network]\ninstall_routes = false\n"+
		"[log]\nlevel = \"warn\"\nformat = \"json\"\nlevels = { ike = \"debug\" }\n", socket)
	g, err := lab.StartGoiked(a.at, binaries(t), a.config(), lab.GoikedOptions{NotReady: true, AsConfigured: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Stop() })
	g.URI = "unix://" + socket
	if err := lab.Eventually(time.Minute, func() error { _, _, err := g.Ctl("status"); return err }); err != nil {
		t.Fatal(err, g.Output())
	}
	if err := g.Up("site"); err != nil {
		t.Fatal(err)
	}
	if out, _, err := g.Ctl("rekey", "site/lan"); err != nil {
		t.Error(err, out)
	}
	levels := linesByLevel(t, g.Output())
	if levels["ike debug"] == 0 || levels["daemon info"]+levels["child info"] != 0 {
		t.Errorf("lines by subsystem and level: %v: %s", levels, g.Output())
	}
	page := metrics(t, w.A, "127.0.0.1:9814")
	for _, want := range []string{
		`goike_connection_up{connection="site"} 1`, `goike_ike_sas{state="established"} 1`, `goike_child_sas{state="installed"} 1`,
		`goike_negotiations_total{connection="site",sa="ike",result="established",cause=""} 1`,
		`goike_rekeys_total{connection="site",sa="child"} 1`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no line %q in:\n%s", want, page)
		}
	}
	if routes := w.routes(t); strings.Contains(routes, lab.NetB4.String()) {
		t.Errorf("a route to the peer's network in spite of install_routes = false:\n%s", routes)
	}
	g.Stop()

	a.daemon = ""
	ga := a.start(t)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	if routes := w.routes(t); !strings.Contains(routes, lab.NetB4.String()) {
		t.Errorf("no route to the peer's network:\n%s", routes)
	}
}

// linesByLevel counts the lines of a log in JSON by subsystem and level.
func linesByLevel(t *testing.T, log string) map[string]int {
	t.Helper()
	n := make(map[string]int)
	for line := range strings.Lines(log) {
		var entry struct{ Level, Subsystem string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%v: %q", err, line)
		}
		n[strings.ToLower(entry.Subsystem+" "+entry.Level)]++
	}
	return n
}

// metrics is what a daemon in a namespace answers to Prometheus.
func metrics(t *testing.T, at *lab.Namespace, address string) string {
	t.Helper()
	var conn net.Conn
	if err := at.Do(func() (err error) {
		conn, err = (&net.Dialer{Timeout: wait}).DialContext(context.Background(), "tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(wait))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return string(b)
}

// routes are A's, of all tables.
func (w *world) routes(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	out, err := w.A.Run(ctx, "ip", "route", "show", "table", "all")
	if err != nil {
		t.Fatal(err)
	}
	return out
}
