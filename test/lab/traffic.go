//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Ping sends one echo request after another until an answer comes, for at most
// limit.
func (n *Namespace) Ping(from, to netip.Addr, limit time.Duration) error {
	return Eventually(limit, func() error { return n.PingOnce(from, to) })
}

// PingOnce sends one echo request and waits a second for the answer.
func (n *Namespace) PingOnce(from, to netip.Addr) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := n.Run(ctx, "ping", "-n", "-q", "-c", "1", "-W", "1", "-I", from.String(), to.String()); err != nil {
		return fmt.Errorf("%s does not reach %s: %w", from, to, err)
	}
	return nil
}

// Iperf says what iperf3 measures.
type Iperf struct {
	From, To netip.Addr
	Seconds  int
	Reverse  bool  // the server sends
	UDP      bool  // with datagrams of Size octets at Rate
	Size     int   // octets, 0: 1400
	Rate     int64 // bit/s
	Streams  int   // 0: one
}

// Throughput is what iperf3 measured at the receiver.
type Throughput struct {
	Bits float64 // per second
	Lost float64 // percent of the datagrams
}

// Gbit is the rate for people.
func (t Throughput) Gbit() string { return fmt.Sprintf("%.2f Gbit/s", t.Bits/1e9) }

// Measure runs iperf3 from one namespace to another.
func Measure(client, server *Namespace, o Iperf) (Throughput, error) {
	srv, err := server.Start("iperf3.log", Command{Args: []string{"iperf3", "-s", "-1", "--forceflush", "-B", o.To.String()}})
	if err != nil {
		return Throughput{}, err
	}
	defer srv.Stop()
	if err := server.listening(5201, srv); err != nil {
		return Throughput{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(o.Seconds+20)*time.Second)
	defer cancel()
	out, err := client.Run(ctx, o.args()...)
	if err != nil {
		return Throughput{}, fmt.Errorf("%w: %s", err, tail(out, 5))
	}
	return parseIperf([]byte(out), o.UDP)
}

func (o Iperf) args() []string {
	args := []string{"iperf3", "-J", "-c", o.To.String(), "-B", o.From.String(), "-t", strconv.Itoa(o.Seconds),
		"-P", strconv.Itoa(max(1, o.Streams)), "--connect-timeout", "5000"}
	if o.Reverse {
		args = append(args, "-R")
	}
	if o.UDP {
		size := o.Size
		if size == 0 {
			size = 1400
		}
		args = append(args, "-u", "--pacing-timer", "100", "-l", strconv.Itoa(size), "-b", strconv.FormatInt(o.Rate, 10))
	}
	return args
}

// listening waits until a TCP port of the namespace is listened on.
func (n *Namespace) listening(port int, p *Process) error {
	return Eventually(startLimit, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), askLimit)
		defer cancel()
		out, err := n.Run(ctx, "ss", "-Hltn", "sport = :"+strconv.Itoa(port))
		if err == nil && out == "" {
			err = fmt.Errorf("nothing listens on port %d: %s", port, tail(p.Output(), 3))
		}
		return err
	})
}

// parseIperf reads the JSON of iperf3: sum_received for TCP, sum for UDP.
func parseIperf(b []byte, udp bool) (Throughput, error) {
	type sum struct {
		Bits float64 `json:"bits_per_second"`
		Lost float64 `json:"lost_percent"`
	}
	var r struct {
		Error string `json:"error"`
		End   struct {
			Sum      sum `json:"sum"`
			Received sum `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Throughput{}, fmt.Errorf("iperf3: %w", err)
	}
	if r.Error != "" {
		return Throughput{}, fmt.Errorf("iperf3: %s", r.Error)
	}
	if !udp {
		return Throughput{Bits: r.End.Received.Bits}, nil
	}
	// what was sent, less what did not arrive
	return Throughput{Bits: r.End.Sum.Bits * (1 - r.End.Sum.Lost/100), Lost: r.End.Sum.Lost}, nil
}
