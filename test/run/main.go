//go:build linux

// Command run is `make run`: two sites in network namespaces and a tunnel
// between them, to look at.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/goike/goike/test/lab"
)

func main() {
	peer := flag.String("peer", "goiked", "what runs at site B: goiked or strongswan")
	once := flag.Bool("once", false, "end by itself")
	bin := flag.String("bin", "bin", "directory of goiked and goikectl")
	flag.Parse()
	if *peer != "goiked" && *peer != "strongswan" {
		fmt.Fprintf(os.Stderr, "PEER=%s: goiked or strongswan\n", *peer)
		os.Exit(2)
	}
	dir, err := filepath.Abs(*bin)
	if err == nil {
		bins := lab.Binaries{Goiked: filepath.Join(dir, "goiked"), Goikectl: filepath.Join(dir, "goikectl")}
		err = run(bins, *peer, *once)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "make run:", err)
		os.Exit(1)
	}
}

var errInterrupted = errors.New("interrupted")

// run shows the tunnel and cleans up, also after a signal.
func run(bins lab.Binaries, peer string, once bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	l, err := lab.New()
	if err != nil {
		return err
	}
	shown := make(chan error, 1)
	go func() { shown <- newShow(l, bins, peer).all() }()
	select {
	case err = <-shown:
		if err == nil && !once {
			fmt.Println("\nCtrl-C ends it and takes everything away.")
			<-ctx.Done()
		}
	case <-ctx.Done():
		err = errInterrupted
	}
	if err != nil && !errors.Is(err, errInterrupted) {
		fmt.Println("logs:", l.Keep("make-run", time.Time{}))
	}
	say("removing namespaces, processes and files")
	return errors.Join(err, l.Close())
}

func say(format string, args ...any) { fmt.Printf("* "+format+"\n", args...) }
