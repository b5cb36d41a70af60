//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/goike/goike/test/lab"
)

// clean is nil when nothing passed the outer link that must not. AH hides
// nothing; where it is expected, all else must still be what the other tests ask
// for.
func (w *world) clean() error {
	if !w.ah {
		return w.wire.Clean()
	}
	file := filepath.Join(w.Lab.Dir, "outer.pcap")
	if err := w.wire.Write(file); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	frames, err := pcapgo.NewReader(f)
	if err != nil {
		return err
	}
	check := lab.Checker{}
	for {
		data, _, err := frames.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if isAH(data) {
			continue
		}
		if _, offence := check.Frame(data); offence != "" {
			return fmt.Errorf("%w: %s", lab.ErrPlaintext, offence)
		}
	}
}

// isAH tells whether AH is the first thing in a packet.
func isAH(frame []byte) bool {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		return ip.Protocol == layers.IPProtocolAH
	case *layers.IPv6:
		return ip.NextHeader == layers.IPProtocolAH
	}
	return false
}
