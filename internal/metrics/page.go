// Package metrics serves what a daemon counts in the text format of Prometheus.
package metrics

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// ContentType is that of a Page.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Kind is what sort of metric a family is.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Page is a text in the exposition format, version 0.0.4. The zero Page is empty.
type Page struct {
	b    bytes.Buffer
	name string
}

// Family begins a metric: its samples follow.
func (p *Page) Family(name string, kind Kind, help string) {
	p.name = name
	p.b.WriteString("# HELP " + name + " " + helpEscape.Replace(help) + "\n# TYPE " + name + " " + string(kind) + "\n")
}

var (
	helpEscape  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// Sample adds a value. labels are names and values in turn; what is no UTF-8 in values
// is replaced.
func (p *Page) Sample(value float64, labels ...string) { p.line("", value, labels) }

// Buckets adds a histogram: how many were within each of the ascending bounds and above
// the one before, at last how many were above all of them; and the sum of all.
func (p *Page) Buckets(bounds []float64, counts []uint64, sum float64) {
	total := uint64(0)
	for i, n := range counts {
		total += n
		le := math.Inf(1)
		if i < len(bounds) {
			le = bounds[i]
		}
		p.line("_bucket", float64(total), []string{"le", number(le)})
	}
	p.line("_sum", sum, nil)
	p.line("_count", float64(total), nil)
}

func (p *Page) line(suffix string, value float64, labels []string) {
	p.b.WriteString(p.name + suffix)
	for i := 0; i+1 < len(labels); i += 2 {
		p.b.WriteByte("{,"[min(i, 1)])
		p.b.WriteString(labels[i] + `="` + labelEscape.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")) + `"`)
	}
	if len(labels) > 1 {
		p.b.WriteByte('}')
	}
	p.b.WriteString(" " + number(value) + "\n")
}

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// Bytes is the text so far.
func (p *Page) Bytes() []byte { return p.b.Bytes() }
