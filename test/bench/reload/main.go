//go:build linux

// Command reload loads many connections into goiked and into strongSwan's charon, and
// loads them again with one of them changed. It prints how long each took, the programs
// that ask for it included.
//
// goiked reads goike.toml and swanctl.conf with its user space plane, in which each
// connection has its policies at once; charon is loaded by swanctl, and has its user
// space plane, too, which knows no policies of connections that are down.
package main

import (
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/goike/goike/test/lab"
)

func main() {
	n := flag.Int("n", 1000, "connections")
	rounds := flag.Int("rounds", 5, "reloads, the fastest of which counts")
	flag.Parse()
	if err := run(*n, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "reload:", err)
		os.Exit(1)
	}
}

func run(n, rounds int) error {
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
	fmt.Fprintln(w, "daemon\tconfiguration\tconnections\tload ms\tone changed ms\t")
	for _, c := range []struct {
		name, file string
		start      func(n int) (daemon, time.Duration, error)
	}{
		{"goiked", "goike.toml", b.goikedToml}, {"goiked", "swanctl.conf", b.goikedSwanctl}, {"charon", "swanctl.conf", b.charon},
	} {
		f, err := measure(n, rounds, c.start)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", c.name, c.file, err)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.0f\t\n", c.name, c.file, n, ms(f.load), ms(f.reload))
	}
	return w.Flush()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
