//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

const (
	snapLength  = 2048 // of a frame; the rest of a segmentation train is not looked at
	keepFrames  = 4096 // kept for the artefact
	keepOffence = 8    // offending frames that are described
)

// Capture watches an interface, and checks every frame that it sees: on a link
// between two IPsec gateways nothing passes but IKE, ESP and what IP itself
// needs.
type Capture struct {
	handle *pcapgo.EthernetHandle
	check  Checker
	stop   chan struct{}
	done   chan struct{}

	mu       sync.Mutex
	seen     Seen
	offences []string
	frames   []frame
}

type frame struct {
	info gopacket.CaptureInfo
	data []byte
}

// Seen counts the frames of a capture by what they are.
type Seen struct {
	ESP    int // raw, IP protocol 50
	UDPESP int // in UDP port 4500
	IKE    int // on port 500, and on 4500 behind the marker
	Alive  int // NAT keepalives
	Other  int // ARP, neighbour discovery, ICMP errors
	Bad    int // all that must not be there
}

func (s Seen) String() string {
	return fmt.Sprintf("%d ESP, %d ESP in UDP, %d IKE, %d NAT keepalives, %d ARP/ND/ICMP, %d in plaintext or foreign",
		s.ESP, s.UDPESP, s.IKE, s.Alive, s.Other, s.Bad)
}

// Capture begins to watch an interface of the namespace.
func (n *Namespace) Capture(link string, inner ...netip.Prefix) (*Capture, error) {
	c := &Capture{check: Checker{Inner: inner}, stop: make(chan struct{}), done: make(chan struct{})}
	err := n.Do(func() (err error) {
		c.handle, err = pcapgo.NewEthernetHandle(link)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("capture on %s/%s: %w", n.Name, link, err)
	}
	if err := c.handle.SetCaptureLength(snapLength); err != nil {
		return nil, err
	}
	go c.run()
	n.lab.Defer(func() error { c.Stop(); return nil })
	return c, nil
}

func (c *Capture) run() {
	defer close(c.done)
	for {
		data, info, err := c.handle.ReadPacketData()
		if err != nil {
			return // closed by Stop
		}
		c.frame(data, info)
	}
}

func (c *Capture) frame(data []byte, info gopacket.CaptureInfo) {
	kind, offence := c.check.Frame(data)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.count(kind)
	if offence != "" && len(c.offences) < keepOffence {
		c.offences = append(c.offences, offence)
	}
	if len(c.frames) < keepFrames || kind == KindBad && len(c.frames) < 2*keepFrames {
		info.CaptureLength = len(data)
		info.Length = max(info.Length, len(data))
		c.frames = append(c.frames, frame{info, data})
	}
}

func (s *Seen) count(k Kind) {
	switch k {
	case KindESP:
		s.ESP++
	case KindUDPESP:
		s.UDPESP++
	case KindIKE:
		s.IKE++
	case KindAlive:
		s.Alive++
	case KindOther:
		s.Other++
	case KindBad:
		s.Bad++
	}
}

// Seen tells what has passed since the beginning, or the last Reset.
func (c *Capture) Seen() Seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// Reset forgets what was seen.
func (c *Capture) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.offences, c.frames = Seen{}, nil, nil
}

// ErrPlaintext says that something passed the outer link that must not.
var ErrPlaintext = errors.New("on the outer link")

// Clean is nil when nothing passed that must not.
func (c *Capture) Clean() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen.Bad == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d frames are neither IKE nor ESP, the first: %q", ErrPlaintext, c.seen.Bad, c.offences)
}

// Stop ends the capture. What it has seen remains.
func (c *Capture) Stop() {
	c.mu.Lock()
	select {
	case <-c.stop:
	default:
		close(c.stop)
		_ = c.handle.Close()
	}
	c.mu.Unlock()
	<-c.done
}

// Write writes the kept frames as a pcap file.
func (c *Capture) Write(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := pcapgo.NewWriter(f)
	err = w.WriteFileHeader(snapLength, layers.LinkTypeEthernet)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.frames {
		if err == nil {
			err = w.WritePacket(p.info, p.data)
		}
	}
	return errors.Join(err, f.Close())
}
