//go:build linux

// Command load sets up many IKE SAs, each with a child, with a responder: first with
// goiked and with strongSwan's charon, few enough for both, then with goiked alone.
// It prints for each the CPU time of the responder and the memory that it has grown
// by. The initiators are the engine of this module, all behind one address, with one
// identity each.
//
// goiked has no data plane here (dataplane.backend = "none"); charon has its user
// space plane, the only one that a kernel without ESP leaves it, and is told to
// install no routes.
package main

import (
	"flag"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/goike/goike/test/lab"
)

func main() {
	both := flag.Int("both", 1000, "IKE SAs for goiked and charon")
	alone := flag.Int("alone", 10000, "IKE SAs for goiked alone, 0: none")
	flag.Parse()
	if err := run(*both, *alone); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(both, alone int) error {
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	b, err := newBench(l)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "responder\tIKE SAs\tkept\tCPU s per 1,000\tKB of memory each\tset-ups per second\t")
	for _, c := range []struct {
		name  string
		n     int
		start func() (responder, error)
	}{
		{"goiked", both, b.goiked}, {"charon", both, b.charon}, {"goiked", alone, b.goiked},
	} {
		if c.n == 0 {
			continue
		}
		f, err := b.measure(c.n, c.start)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.3f\t%.1f\t%.0f\t\n", c.name, c.n, f.kept, f.cpu.Seconds()*1000/float64(c.n),
			float64(f.memory)/1024/float64(c.n), float64(c.n)/f.took.Seconds())
	}
	return w.Flush()
}
