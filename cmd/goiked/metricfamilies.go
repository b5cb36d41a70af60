//go:build linux

package main

import (
	"runtime"
	"strings"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/internal/metrics"
)

// snapshot is what one scrape shows.
type snapshot struct {
	info   control.Info
	stats  control.Stats
	conf   *conf.Config
	conns  []control.ConnState
	sas    []control.SA
	volume map[childName]*volume
}

// family is a metric. Its labels are those of every sample, but for "le".
type family struct {
	name   string
	kind   metrics.Kind
	help   string
	labels []string
	add    func(p *metrics.Page, s *snapshot)
}

// families are all metrics, as docs/metrics.md lists them.
var families = []family{
	{"goike_build_info", metrics.Gauge, "1, with the version of the daemon, that of Go, and the data plane in use.", []string{"version", "goversion", "dataplane"},
		func(p *metrics.Page, s *snapshot) {
			plane, _, _ := strings.Cut(s.info.Dataplane, " ")
			p.Sample(1, "version", s.info.Version, "goversion", runtime.Version(), "dataplane", plane)
		}},
	{"goike_uptime_seconds", metrics.Gauge, "Time since the daemon was started.", nil,
		func(p *metrics.Page, s *snapshot) { p.Sample(time.Since(s.stats.Started).Seconds()) }},
	{"goike_goroutines", metrics.Gauge, "Goroutines of the daemon.", nil,
		func(p *metrics.Page, s *snapshot) { p.Sample(float64(s.stats.Goroutines)) }},
	{"goike_ike_sas", metrics.Gauge, "IKE SAs by state.", []string{"state"},
		func(p *metrics.Page, s *snapshot) {
			n := make(map[int]int)
			for _, sa := range s.sas {
				n[int(sa.State)]++
			}
			addStates(p, control.IKEStates(), n)
		}},
	{"goike_child_sas", metrics.Gauge, "Child SAs by state.", []string{"state"},
		func(p *metrics.Page, s *snapshot) {
			n := make(map[int]int)
			for _, sa := range s.sas {
				for _, c := range sa.Children {
					n[int(c.State)]++
				}
			}
			addStates(p, control.ChildStates(), n)
		}},
	{"goike_connection_up", metrics.Gauge, "1 when a connection of the configuration has an IKE SA, else 0.", []string{"connection"},
		func(p *metrics.Page, s *snapshot) {
			for _, c := range s.conns {
				up := 0.0
				if c.State == "up" {
					up = 1
				}
				p.Sample(up, "connection", c.Conn)
			}
		}},
	{"goike_half_open_ike_sas", metrics.Gauge, "IKE SAs that peers have begun and not authenticated.", nil,
		func(p *metrics.Page, s *snapshot) { p.Sample(float64(s.stats.HalfOpen)) }},
	{"goike_negotiations_total", metrics.Counter, "Negotiations of IKE SAs and child SAs that have ended, by result and cause; without a connection when none was found for the peer.",
		[]string{"connection", "sa", "result", "cause"}, addNegotiations},
	{"goike_rekeys_total", metrics.Counter, "SAs that were replaced by rekeying.", []string{"connection", "sa"},
		func(p *metrics.Page, s *snapshot) { addCounts(p, s, kinds(ike.IKERekeyed, ike.ChildRekeyed), addSA) }},
	{"goike_sas_closed_total", metrics.Counter, "Established SAs that are gone, by cause; without one when it was asked for.", []string{"connection", "sa", "cause"},
		func(p *metrics.Page, s *snapshot) {
			addCounts(p, s, kinds(ike.IKEDown, ike.ChildDown), func(k control.CountKey) []string { return append(addSA(k), "cause", control.CauseWord(k.Cause)) })
		}},
	{"goike_ike_moves_total", metrics.Counter, "IKE SAs that came to have other addresses or ports.", []string{"connection"}, connCounts(kinds(ike.IKEMoved))},
	{"goike_retransmissions_total", metrics.Counter, "Requests that were sent again since no answer came.", []string{"connection"}, connCounts(marked(ike.RequestRepeated))},
	{"goike_dpd_requests_total", metrics.Counter, "Questions to silent peers whether they live.", []string{"connection"}, connCounts(marked(ike.LivenessAsked))},
	{"goike_dpd_answers_total", metrics.Counter, "Answers to these questions.", []string{"connection"}, connCounts(marked(ike.LivenessProven))},
	{"goike_dpd_failures_total", metrics.Counter, "Peers that were given up since they did not answer them.", []string{"connection"}, connCounts(marked(ike.LivenessLost))},
	{"goike_child_bytes_total", metrics.Counter, "Octets that the SAs of a child have carried.", []string{"connection", "child", "direction"},
		func(p *metrics.Page, s *snapshot) { addVolume(p, s, func(a amount) uint64 { return a.bytes }) }},
	{"goike_child_packets_total", metrics.Counter, "Packets that the SAs of a child have carried.", []string{"connection", "child", "direction"},
		func(p *metrics.Page, s *snapshot) { addVolume(p, s, func(a amount) uint64 { return a.packets }) }},
	{"goike_cookies_demanded_total", metrics.Counter, "First messages that were answered by a demand for a cookie.", nil,
		func(p *metrics.Page, s *snapshot) { p.Sample(float64(s.stats.Dropped[cookieDemanded])) }},
	{"goike_drops_total", metrics.Counter, "IKE messages that led nowhere, by reason.", []string{"reason"},
		func(p *metrics.Page, s *snapshot) { addNamed(p, s.stats.Dropped, "reason", cookieDemanded) }},
	{"goike_queue_length", metrics.Gauge, "What waits in the queues of the daemon.", []string{"queue"},
		func(p *metrics.Page, s *snapshot) { addNamed(p, s.stats.Waiting, "queue", "") }},
	{"goike_crypto_workers", metrics.Gauge, "Workers for key exchanges and the like.", []string{"state"},
		func(p *metrics.Page, s *snapshot) {
			p.Sample(float64(s.stats.Workers-s.stats.Idle), "state", "busy")
			p.Sample(float64(s.stats.Idle), "state", "idle")
		}},
	{"goike_crypto_wait_seconds", metrics.Histogram, "How long such work waited for a worker.", nil,
		func(p *metrics.Page, s *snapshot) { addHistogram(p, s.stats.Waits) }},
	{"goike_crypto_run_seconds", metrics.Histogram, "How long it took from then on.", nil,
		func(p *metrics.Page, s *snapshot) { addHistogram(p, s.stats.Runs) }},
	{"goike_plane_events_total", metrics.Counter, "What the data plane and the IKE sockets have counted; with the kernel's, its XFRM errors of this network namespace.", []string{"event"},
		func(p *metrics.Page, s *snapshot) { addNamed(p, s.stats.Plane, "event", "") }},
}

const cookieDemanded = "cookie-demanded"
