package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// create creates a file that is ours alone, and is not there yet.
func create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s is there already; allowed: a file that is not", path)
	}
	return f, err
}

// captureFile is a capture in the format pcapng: IP packets with IKE messages in them.
type captureFile struct {
	file *os.File
	w    *pcapgo.NgWriter
}

func newCaptureFile(path string) (*captureFile, error) {
	f, err := create(path)
	if err != nil {
		return nil, err
	}
	w, err := pcapgo.NewNgWriter(f, layers.LinkTypeRaw)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &captureFile{file: f, w: w}, nil
}

func (f *captureFile) close() error { return errors.Join(f.w.Flush(), f.file.Close()) }

// add adds a message. The file can be read as far as that at any time.
func (f *captureFile) add(m control.CapturedMessage) error {
	packet, err := ipPacket(m)
	if err != nil {
		return err
	}
	at := gopacket.CaptureInfo{Timestamp: m.At, CaptureLength: len(packet), Length: len(packet)}
	return errors.Join(f.w.WritePacket(at, packet), f.w.Flush())
}

// ipPacket is an IKE message as it was on its way.
func ipPacket(m control.CapturedMessage) ([]byte, error) {
	src, dst := m.Path.Remote, m.Path.Local
	if m.Out {
		src, dst = dst, src
	}
	data := m.Data
	if m.Path.Local.Port() == ike.NATTPort {
		data = append(make([]byte, 4, 4+len(m.Data)), m.Data...) // the non-ESP marker (RFC 3948, 2.2)
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	ip := ipHeader(src.Addr().Unmap(), dst.Addr().Unmap())
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(data))
	return b.Bytes(), err
}

type networkLayer interface {
	gopacket.NetworkLayer
	gopacket.SerializableLayer
}

func ipHeader(src, dst netip.Addr) networkLayer {
	if src.Is4() {
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	}
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
}
