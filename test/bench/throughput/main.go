//go:build linux

// Command throughput measures what passes a tunnel between two goiked with the
// user space data plane, beside two strongSwan with kernel-libipsec in the same
// namespaces, alternately, and prints both and their ratio.
//
// Rates are those at the receiver, the best of the rounds: machines are noisy,
// and noise only slows down. Datagrams are sent ever faster until more than 0.1
// percent are lost in each of three tries.
package main

import (
	"flag"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/goike/goike/test/lab"
)

func main() {
	rounds := flag.Int("rounds", 3, "measurements of each, alternately")
	seconds := flag.Int("seconds", 3, "duration of a measurement")
	flag.Parse()
	if err := run(*rounds, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "throughput:", err)
		os.Exit(1)
	}
}

// figures are the best rates in bit/s of a pair of daemons.
type figures struct{ there, back, datagrams float64 }

func (f *figures) keep(g figures) {
	f.there, f.back, f.datagrams = max(f.there, g.there), max(f.back, g.back), max(f.datagrams, g.datagrams)
}

func run(rounds, seconds int) error {
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	b, err := newBench(l, seconds)
	if err != nil {
		return err
	}
	bare, err := b.measure()
	if err != nil {
		return fmt.Errorf("without a tunnel: %w", err)
	}
	var goike, swan figures
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		got, err := b.with(b.goiked)
		if err != nil {
			return fmt.Errorf("goiked: %w", err)
		}
		goike.keep(got)
		if got, err = b.with(b.strongSwan); err != nil {
			return fmt.Errorf("strongSwan: %w", err)
		}
		swan.keep(got)
	}
	return table(bare, goike, swan)
}

func table(bare, goike, swan figures) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "Gbit/s\tgoiked, user space\tstrongSwan, kernel-libipsec\tratio\tno tunnel\t")
	for _, r := range []struct {
		name            string
		g, s, bareValue float64
	}{
		{"TCP, A to B", goike.there, swan.there, bare.there},
		{"TCP, B to A", goike.back, swan.back, bare.back},
		{fmt.Sprintf("UDP %d octets, loss-free", datagramSize), goike.datagrams, swan.datagrams, bare.datagrams},
	} {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.1f\t%.2f\t\n", r.name, r.g/1e9, r.s/1e9, r.g/r.s, r.bareValue/1e9)
	}
	return w.Flush()
}
