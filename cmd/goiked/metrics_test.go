//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// scrape reads the metrics at a socket, whose mode it looks at.
func scrape(t *testing.T, socket string) map[string]float64 {
	t.Helper()
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Fatalf("%v %v", info, err)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://goiked/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", resp.Status, err)
	}
	return samples(t, b)
}

// samples reads a page as Prometheus does. A sample is called by its name and its labels,
// in alphabetical order: name{a=x,b=y}; a histogram by its count.
func samples(t *testing.T, page []byte) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	read, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatalf("%v\n%s", err, page)
	}
	out := make(map[string]float64)
	for name, f := range read {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(labels)
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			if _, twice := out[key]; twice {
				t.Errorf("%s is there twice", key)
			}
			out[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// shown is a Backend that shows what it is told to.
type shown struct {
	control.Backend
	conf  *conf.Config
	stats control.Stats
	sas   []control.SA
}

func (s *shown) Info() control.Info {
	return control.Info{Version: "1.2.3", Dataplane: "userspace (auto: the kernel cannot)"}
}
func (s *shown) Stats() control.Stats             { return s.stats }
func (s *shown) Config() *conf.Config             { return s.conf }
func (s *shown) SAs(context.Context) []control.SA { return s.sas }
func (s *shown) Conns() []control.ConnState {
	return []control.ConnState{{Conn: "büro \"1\"", State: "up"}, {Conn: "hq", State: "waiting"}}
}

func newShown() *shown {
	counts := control.Counts{}
	for _, r := range []ike.Report{
		{Kind: ike.IKEUp, Conn: "hq"}, {Kind: ike.ChildUp, Conn: "hq", Child: "lan"}, {Kind: ike.ChildUp, Conn: "hq", Child: "dmz"},
		{Kind: ike.Failed, Conn: "hq", Why: &ike.Refusal{Cause: ike.WrongKey}}, {Kind: ike.Failed, Why: &ike.Refusal{Cause: ike.NoConnection}},
		{Kind: ike.Failed, Conn: "gone", Why: &ike.Refusal{Cause: ike.NoConnection}},
		{Kind: ike.IKERekeyed, Conn: "hq"}, {Kind: ike.ChildDown, Conn: "hq", Child: "lan", Why: &ike.Refusal{Cause: ike.Unused}},
		{Kind: ike.IKEMoved, Conn: "hq"}, {Kind: ike.Step, Mark: ike.LivenessAsked, Conn: "hq"}, {Kind: ike.Step, Mark: ike.RequestRepeated, Conn: "hq"},
		{Kind: ike.Step, Mark: ike.LivenessProven, Conn: "hq"}, {Kind: ike.Step, Mark: ike.LivenessLost, Conn: "hq"}, {Kind: ike.Step, Conn: "hq", Text: "x"},
	} {
		counts.Add(r)
	}
	h := control.Histogram{Bounds: []time.Duration{time.Millisecond}, Counts: []uint64{2, 1}, Sum: time.Second}
	return &shown{
		conf: &conf.Config{Connections: []*conf.Connection{
			{Name: "hq", Children: []*conf.Child{{Name: "lan"}, {Name: "out", Mode: conf.Pass}}}, {Name: "büro \"1\""},
		}},
		stats: control.Stats{
			Started: time.Now(), HalfOpen: 3, Workers: 2, Idle: 1, Goroutines: 9, Counts: counts, Waits: h, Runs: h,
			Dropped: map[string]uint64{"malformed": 4, cookieDemanded: 5}, Waiting: map[string]int{"jobs": 6}, Plane: map[string]uint64{"in_no_sa": 7},
		},
		sas: []control.SA{carrying(1, 100), carrying(2, 1000)},
	}
}

// carrying is an IKE SA of hq with a child that has carried so much.
func carrying(id, bytes uint64) control.SA {
	return control.SA{
		Status: ike.Status{ID: id, Conn: "hq", State: ike.Up, Children: []ike.ChildStatus{{ID: id, Name: "lan", State: ike.ChildInstalled}}},
		Usage:  []control.ChildUsage{{In: esp.Usage{Bytes: bytes, Packets: bytes / 10}, Out: esp.Usage{Bytes: 2 * bytes, Packets: bytes / 5}}},
	}
}

func TestMetrics(t *testing.T) {
	b := newShown()
	x := newExporter(b, func(text string) { t.Error(text) })
	got := samples(t, x.gather(t.Context()).Bytes())
	for key, want := range map[string]float64{
		`goike_connection_up{connection=büro "1"}`: 1, "goike_connection_up{connection=hq}": 0, "goike_half_open_ike_sas": 3,
		"goike_ike_sas{state=established}": 2, "goike_ike_sas{state=connecting}": 0, "goike_child_sas{state=installed}": 2,
		"goike_negotiations_total{cause=,connection=hq,result=established,sa=ike}":       1,
		"goike_negotiations_total{cause=,connection=hq,result=established,sa=child}":     2,
		"goike_negotiations_total{cause=wrong-key,connection=hq,result=failed,sa=ike}":   1,
		"goike_negotiations_total{cause=no-connection,connection=,result=failed,sa=ike}": 1,
		"goike_rekeys_total{connection=hq,sa=ike}":                                       1,
		"goike_sas_closed_total{cause=unused,connection=hq,sa=child}":                    1,
		"goike_ike_moves_total{connection=hq}":                                           1,
		"goike_retransmissions_total{connection=hq}":                                     1, "goike_dpd_requests_total{connection=hq}": 1,
		"goike_dpd_answers_total{connection=hq}": 1, "goike_dpd_failures_total{connection=hq}": 1, "goike_cookies_demanded_total": 5,
		"goike_drops_total{reason=malformed}": 4, "goike_queue_length{queue=jobs}": 6, "goike_crypto_workers{state=busy}": 1,
		"goike_crypto_wait_seconds": 3, "goike_crypto_run_seconds": 3, "goike_plane_events_total{event=in_no_sa}": 7,
		"goike_child_bytes_total{child=lan,connection=hq,direction=in}": 1100, "goike_child_packets_total{child=lan,connection=hq,direction=out}": 220,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", key, v, ok, want)
		}
	}
	for key := range got {
		if strings.Contains(key, "connection=gone") || strings.Contains(key, "child=out") || strings.Contains(key, "reason=cookie") {
			t.Errorf("%s is there", key)
		}
		if !strings.HasPrefix(key, "goike_") {
			t.Errorf("%s does not begin with goike_", key)
		}
	}
}

// What a child has carried never falls while it is configured, also when one of its SAs
// goes and another comes, or a data plane does not know for once.
func TestVolumeNeverFalls(t *testing.T) {
	b := newShown()
	x := newExporter(b, func(text string) { t.Error(text) })
	const key = "goike_child_bytes_total{child=lan,connection=hq,direction=in}"
	for i, step := range []struct {
		sas  []control.SA
		want float64
	}{
		{b.sas, 1100},
		{[]control.SA{carrying(1, 150)}, 1150},
		{[]control.SA{carrying(1, 0)}, 1150},
		{[]control.SA{carrying(1, 160), carrying(3, 7)}, 1167},
		{nil, 1167},
	} {
		b.sas = step.sas
		if got := samples(t, x.gather(t.Context()).Bytes())[key]; got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	b.conf = &conf.Config{}
	if _, ok := samples(t, x.gather(t.Context()).Bytes())[key]; ok || len(x.seen)+len(x.volume) != 0 {
		t.Error("a child that is no longer configured is still there")
	}
}

func TestParseXFRMStat(t *testing.T) {
	got := parseXFRMStat([]byte("XfrmInError             \t0\nXfrmInNoStates          \t12\nrubbish\nXfrmX -1\n\n"))
	if len(got) != 2 || got["XfrmInNoStates"] != 12 {
		t.Errorf("%v", got)
	}
}

func FuzzParseXFRMStat(f *testing.F) {
	f.Add([]byte("XfrmInError \t0\nXfrmInNoStates 12\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(parseXFRMStat(b)); n > bytes.Count(b, []byte("\n"))+1 {
			t.Errorf("%d counters of %q", n, b)
		}
	})
}

var metricName = regexp.MustCompile(`goike_[a-z0-9_]+`)

// baseName is the family that a name in a query belongs to.
func baseName(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(base, "_seconds") {
			return base
		}
	}
	return name
}

// Every query of the dashboard is about metrics that exist, and every metric is listed in
// the documentation with its labels.
func TestDashboardAndDocumentation(t *testing.T) {
	known := make(map[string]bool)
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		known[f.name] = true
		labels := "| " + strings.Join(f.labels, ", ") + " |"
		if len(f.labels) == 0 {
			labels = "| |"
		}
		if !strings.Contains(string(doc), "| "+f.name+" | "+string(f.kind)+" "+labels) {
			t.Errorf("docs/metrics.md lacks | %s | %s %s", f.name, f.kind, labels)
		}
	}
	for _, name := range metricName.FindAllString(string(doc), -1) {
		if !known[baseName(name)] {
			t.Errorf("docs/metrics.md tells of %s", name)
		}
	}
	b, err := os.ReadFile(filepath.Join("..", "..", "packaging", "grafana", "goike.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			queries++
			names := metricName.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: %s asks for no metric of goike", p.Title, target.Expr)
			}
			for _, name := range names {
				if !known[baseName(name)] {
					t.Errorf("%s: there is no %s", p.Title, name)
				}
			}
		}
	}
	if queries == 0 {
		t.Error("the dashboard asks for nothing")
	}
}
