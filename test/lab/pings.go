//go:build linux

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Pings are echo requests, one after another at regular times, and their answers.
type Pings struct {
	from, to netip.Addr
	conn     net.PacketConn
	end      chan struct{}
	sender   sync.WaitGroup
	receiver sync.WaitGroup

	mu       sync.Mutex
	sent     []time.Time // by number
	answered []bool
	missing  int
}

// Lost are requests that had no answer.
type Lost []time.Duration // when they left, since the first

func (l Lost) String() string {
	const most = 20
	more := ""
	if len(l) > most {
		more = fmt.Sprintf(" and %d more", len(l)-most)
		l = l[:most]
	}
	return fmt.Sprintf("%v%s", []time.Duration(l), more)
}

const (
	lastAnswers = 3 * time.Second // how long answers are waited for at the end
	echoHeader  = 8               // octets of an ICMP echo (RFC 792, RFC 4443 4.1)
	echoSize    = 64
)

// echo says how echo requests are sent with a protocol.
type echo struct {
	family, proto   int
	request, answer byte
}

var (
	echo4 = echo{unix.AF_INET, unix.IPPROTO_ICMP, 8, 0}
	echo6 = echo{unix.AF_INET6, unix.IPPROTO_ICMPV6, 128, 129}
)

// Pings begins to send echo requests.
func (n *Namespace) Pings(from, to netip.Addr, every time.Duration) (*Pings, error) {
	e := echo6
	if from.Is4() {
		e = echo4
	}
	p := &Pings{from: from, to: to, end: make(chan struct{})}
	if err := n.Do(func() (err error) { p.conn, err = e.listen(from); return err }); err != nil {
		return nil, fmt.Errorf("echo requests from %s: %w", from, err)
	}
	p.sender.Go(func() { p.send(e, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 0)), every) })
	p.receiver.Go(func() { p.receive(e) })
	return p, nil
}

// listen makes a socket for which the kernel fills in checksum and identifier, and
// picks the answers.
func (e echo) listen(from netip.Addr) (net.PacketConn, error) {
	fd, err := unix.Socket(e.family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, e.proto)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "echo")
	defer func() { _ = f.Close() }()
	var local unix.Sockaddr = &unix.SockaddrInet6{Addr: from.As16()}
	if from.Is4() {
		local = &unix.SockaddrInet4{Addr: from.As4()}
	}
	if err := unix.Bind(fd, local); err != nil {
		return nil, err
	}
	return net.FilePacketConn(f)
}

func (p *Pings) send(e echo, to net.Addr, every time.Duration) {
	next := time.NewTicker(every)
	defer next.Stop()
	packet := make([]byte, echoSize)
	packet[0] = e.request
	for i := uint64(0); ; i++ {
		binary.BigEndian.PutUint16(packet[6:], uint16(i))
		binary.BigEndian.PutUint64(packet[echoHeader:], i)
		p.mu.Lock()
		p.sent = append(p.sent, time.Now())
		p.answered = append(p.answered, false)
		p.missing++
		p.mu.Unlock()
		_, _ = p.conn.WriteTo(packet, to) // one that is refused has no answer
		select {
		case <-next.C:
		case <-p.end:
			return
		}
	}
}

func (p *Pings) receive(e echo) {
	packet := make([]byte, 1500)
	for {
		n, _, err := p.conn.ReadFrom(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < echoHeader+8 || packet[0] != e.answer {
			continue
		}
		i := binary.BigEndian.Uint64(packet[echoHeader:])
		p.mu.Lock()
		if i < uint64(len(p.answered)) && !p.answered[i] {
			p.answered[i] = true
			p.missing--
		}
		p.mu.Unlock()
	}
}

func (p *Pings) String() string { return fmt.Sprintf("%s > %s", p.from, p.to) }

// Wait waits until so many requests have left.
func (p *Pings) Wait(count int, limit time.Duration) error {
	return Eventually(limit, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(p.sent); n < count {
			return fmt.Errorf("%s: %d of %d requests have left", p, n, count)
		}
		return nil
	})
}

func (p *Pings) finish() {
	close(p.end)
	p.sender.Wait()
	_ = Eventually(lastAnswers, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.missing > 0 {
			return fmt.Errorf("%d answers are missing", p.missing)
		}
		return nil
	})
	_ = p.conn.Close()
	p.receiver.Wait()
}

// Stop ends the requests, waits for the answers that are under way, and tells how many
// requests there were, and which of them had no answer.
func (p *Pings) Stop() (sent int, lost Lost) {
	select {
	case <-p.end:
	default:
		p.finish()
	}
	for i, at := range p.sent {
		if !p.answered[i] {
			lost = append(lost, at.Sub(p.sent[0]).Round(time.Millisecond))
		}
	}
	return len(p.sent), lost
}
