//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/goike/goike/test/lab"
)

const (
	// datagramSize is the payload of a datagram: it fits the tunnels of both without
	// fragments. The device of kernel-libipsec has an MTU of 1400, and the sender
	// remembers that when goiked is measured next.
	datagramSize = 1300
	// window is the wish for the socket buffers of iperf3: the usual 208 KiB are full
	// within a pause of the receiver that has nothing to do with the tunnel.
	window = 1 << 20
)

// datagrams sends datagrams at a rate in bit/s for a second.
func datagrams(client, server *lab.Namespace, from, to netip.Addr, rate int64) (lab.Throughput, error) {
	srv, err := server.Start("iperf3-udp.log", lab.Command{Args: []string{"iperf3", "-s", "-1", "--forceflush", "-B", to.String()}})
	if err != nil {
		return lab.Throughput{}, err
	}
	defer srv.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := lab.Eventually(5*time.Second, func() error { return listens(ctx, server) }); err != nil {
		return lab.Throughput{}, err
	}
	out, err := client.Run(ctx, "iperf3", "-J", "-c", to.String(), "-B", from.String(), "-t", "1", "--connect-timeout", "5000",
		"-u", "--pacing-timer", "100", "-l", strconv.Itoa(datagramSize), "-b", strconv.FormatInt(rate, 10), "-w", strconv.Itoa(bufferSize()))
	if err != nil {
		return lab.Throughput{}, fmt.Errorf("%w: %s", err, out)
	}
	return parseDatagrams([]byte(out))
}

func listens(ctx context.Context, server *lab.Namespace) error {
	out, err := server.Run(ctx, "ss", "-Hltn", "sport = :5201")
	if err == nil && out == "" {
		err = errors.New("iperf3 does not listen")
	}
	return err
}

// bufferSize is what iperf3 may ask for: it fails when it gets less, and the kernel
// gives twice what it allows.
func bufferSize() int {
	n := window
	for _, limit := range []string{"rmem_max", "wmem_max"} {
		b, err := os.ReadFile("/proc/sys/net/core/" + limit)
		if m, bad := strconv.Atoi(string(bytes.TrimSpace(b))); err == nil && bad == nil {
			n = min(n, m)
		}
	}
	return n
}

// parseDatagrams reads the JSON of iperf3. Its rate is that of the sender.
func parseDatagrams(b []byte) (lab.Throughput, error) {
	var r struct {
		Error string
		End   struct {
			Sum struct {
				Bits float64 `json:"bits_per_second"`
				Lost float64 `json:"lost_percent"`
			}
		}
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return lab.Throughput{}, fmt.Errorf("iperf3: %w", err)
	}
	if r.Error != "" {
		return lab.Throughput{}, fmt.Errorf("iperf3: %s", r.Error)
	}
	s := r.End.Sum
	return lab.Throughput{Bits: s.Bits * (1 - s.Lost/100), Lost: s.Lost}, nil
}
