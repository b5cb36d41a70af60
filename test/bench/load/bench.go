//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goike/goike/test/lab"
)

const secret = "the same for all of them, and long"

const goikedConfig = `[dataplane]
backend = "none"

[log]
level = "error"

[[phase1]]
name = "many"
key_exchange = "ikev2"
remote_gateway = "any"
proposals = ["aes256gcm16-prfsha256-curve25519"]
identifier = "gateway.example.org"
peer_identifier = "*.example.org"
pre_shared_key = "` + secret + `"
connection_behavior = "responder-only"

  [[phase1.phase2]]
  name = "lan"
  proposals = ["aes256gcm16"]
  local_network = ["10.2.0.0/16"]
  remote_network = ["10.1.0.0/16"]
`

const charonConfig = `connections { many {
	version = 2
	remote_addrs = %any
	proposals = aes256gcm16-prfsha256-curve25519
	encap = yes
	local { auth = psk
		id = gateway.example.org }
	remote { auth = psk
		id = *.example.org }
	children { lan { local_ts = 10.2.0.0/16
		remote_ts = 10.1.0.0/16
		esp_proposals = aes256gcm16 } }
} }
secrets { ike { secret = "` + secret + `" } }
`

// charonSettings let charon take so many at once from one address without cookies,
// and keep it from logging and from installing routes.
const charonSettings = `
	block_threshold = 200000
	cookie_threshold = 100000
	cookie_threshold_ip = 100000
	install_routes = no
	filelog { log { default = 0 } }
`

// responder is a daemon under load.
type responder struct {
	*lab.Process
	uri string
	at  *lab.Namespace
}

// figures are what a load has cost the responder.
type figures struct {
	kept   int
	cpu    time.Duration
	memory int64 // octets that it has grown by
	took   time.Duration
}

type bench struct {
	net  *lab.Network
	bins lab.Binaries
}

func newBench(l *lab.Lab) (*bench, error) {
	n, err := lab.NewNetwork(l)
	if err != nil {
		return nil, err
	}
	bin, err := l.Mkdir("bin")
	if err != nil {
		return nil, err
	}
	bins, err := lab.Build(bin)
	return &bench{net: n, bins: bins}, err
}

func (b *bench) goiked() (responder, error) {
	g, err := lab.StartGoiked(b.net.B, b.bins, goikedConfig, lab.GoikedOptions{Args: []string{"--log-level", "error"}, NotReady: true})
	if err != nil {
		return responder{}, err
	}
	r := responder{g.Process, g.URI, b.net.B}
	return r, lab.Eventually(20*time.Second, func() error { _, err := r.kept(); return err })
}

func (b *bench) charon() (responder, error) {
	s, err := lab.StartStrongSwan(b.net.B, charonSettings)
	if err != nil {
		return responder{}, err
	}
	return responder{s.Process, s.URI, b.net.B}, s.Load(charonConfig)
}

// measure starts a responder, lets n peers set up their IKE SAs, and stops it.
func (b *bench) measure(n int, start func() (responder, error)) (figures, error) {
	r, err := start()
	if err != nil {
		return figures{}, err
	}
	defer r.Stop()
	cpu, memory, err := r.usage()
	if err != nil {
		return figures{}, err
	}
	begun := time.Now()
	stop, err := b.load(n)
	if err != nil {
		return figures{}, err
	}
	defer stop()
	f := figures{took: time.Since(begun)}
	cpuAfter, memoryAfter, errU := r.usage()
	f.cpu, f.memory = cpuAfter-cpu, memoryAfter-memory
	var errK error
	f.kept, errK = r.kept()
	return f, errors.Join(errU, errK)
}

// usage is the CPU time of the process and the memory that it holds (proc(5)).
func (r responder) usage() (time.Duration, int64, error) {
	dir := filepath.Join("/proc", strconv.Itoa(r.Pid()))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, 0, err
	}
	// The name, in parentheses, may hold spaces; utime and stime are fields 14 and 15.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 22 {
		return 0, 0, errors.New("/proc/PID/stat is not as proc(5) says")
	}
	var ticks, pages int64
	for _, i := range []int{11, 12} {
		v, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		ticks += v
	}
	if pages, err = strconv.ParseInt(fields[21], 10, 64); err != nil {
		return 0, 0, err
	}
	const ticksPerSecond = 100 // USER_HZ
	return time.Duration(ticks) * time.Second / ticksPerSecond, pages * int64(os.Getpagesize()), nil
}

// kept is how many established IKE SAs the responder has, by its own account.
func (r responder) kept() (int, error) {
	out, err := r.at.Swanctl(r.uri, "--stats", "--raw")
	if err != nil {
		return 0, err
	}
	total, err1 := number(out, "total=", "ikesas {")
	half, err2 := number(out, "half-open=", "ikesas {")
	return total - half, errors.Join(err1, err2)
}

// number reads the number behind key, within section.
func number(text, key, section string) (int, error) {
	_, rest, _ := strings.Cut(text, section)
	_, rest, ok := strings.Cut(rest, key)
	if !ok {
		return 0, fmt.Errorf("no %q in %q", section+key, text)
	}
	return strconv.Atoi(rest[:strings.IndexFunc(rest+" ", func(r rune) bool { return r < '0' || r > '9' })])
}
