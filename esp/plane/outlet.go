package plane

import (
	"bytes"
	"encoding/binary"
	"sync"
)

const (
	// maxLeaders bounds the trains that one write to the device may build.
	maxLeaders = 16
	// maxTrain is the largest train, an IP packet itself.
	maxTrain = 0xffff
	// minTrain is the least packet that is worth starting a train with.
	minTrain = 256
)

const (
	protoTCP = 6
	protoUDP = 17
	flagPSH  = 0x08
)

// outlet collects packets for one write to the device. A device that joins the
// packets of a flow to trains appends to the first one, in its buffer's capacity. So
// the first packet of a run of neighbours that may be joined is moved to a large
// buffer; all others are written from where they lie, with no capacity behind them.
type outlet struct {
	mu      sync.Mutex
	bufs    [][]byte
	leaders [maxLeaders][]byte
	used    int // leaders

	run   train
	first int // index of its first packet in bufs
}

// train is a run of neighbours of one flow.
type train struct {
	head []byte // the packet that it starts with; nil: none
	seg  int    // length of a packet, of which only the last may be shorter
	size int    // octets when joined
	long bool   // more than one packet
	over bool   // nothing may follow
}

func newOutlet(batch int) *outlet { return &outlet{bufs: make([][]byte, 0, batch)} }

// add takes a packet, which lies in buf.
func (o *outlet) add(buf, inner []byte) {
	start := cap(buf) - cap(inner)
	end := start + len(inner)
	if !o.join(inner) {
		o.run, o.first = startTrain(inner), len(o.bufs)
	}
	o.bufs = append(o.bufs, buf[start-deviceRoom:end:end])
}

// join tells whether a packet continues the run, and makes room for that.
func (o *outlet) join(inner []byte) bool {
	if !o.run.take(inner) {
		return false
	}
	if o.run.long {
		return true
	}
	if o.used == maxLeaders {
		o.run.over = true
		return true
	}
	if o.leaders[o.used] == nil {
		o.leaders[o.used] = make([]byte, 0, deviceRoom+maxTrain)
	}
	o.bufs[o.first] = append(o.leaders[o.used], o.bufs[o.first]...)
	o.used++
	o.run.long = true
	return true
}

// flush writes what was collected.
func (o *outlet) flush(p *Plane) {
	if len(o.bufs) == 0 {
		return
	}
	n := len(o.bufs)
	if _, err := p.cfg.Device.Write(o.bufs, deviceRoom); err != nil {
		p.count.add(inWriteFailed, n)
	} else {
		p.count.add(inPackets, n)
	}
	clear(o.bufs)
	o.bufs, o.used, o.run = o.bufs[:0], 0, train{}
}

// transport is where the TCP or UDP header of a packet starts that may be joined
// with others, 0 for every other packet.
func transport(ip []byte) int {
	var at int
	var proto byte
	switch {
	case len(ip) < minTrain:
		return 0
	case ip[0] == ipVersion4<<4|ip4Header/4:
		at, proto = ip4Header, ip[9]
	case ip[0]>>4 == 6:
		at, proto = ip6Header, ip[6]
	}
	if proto != protoTCP && proto != protoUDP {
		return 0
	}
	return at
}

func isTCP(ip []byte, at int) bool {
	if at == ip4Header {
		return ip[9] == protoTCP
	}
	return ip[6] == protoTCP
}

// startTrain makes a packet the first of a run. One that cannot have followers
// starts none.
func startTrain(ip []byte) train {
	at := transport(ip)
	if at == 0 {
		return train{}
	}
	return train{head: ip, seg: len(ip), size: len(ip), over: isTCP(ip, at) && ip[at+13]&flagPSH != 0}
}

// take tells whether a packet may follow in the train, and counts it.
func (t *train) take(ip []byte) bool {
	at := transport(ip)
	if t.head == nil || t.over || at == 0 || len(ip) > t.seg || t.size+len(ip) > maxTrain || !sameFlow(t.head, ip, at) {
		return false
	}
	t.size += len(ip) - at
	t.over = len(ip) < t.seg || isTCP(ip, at) && ip[at+13]&flagPSH != 0
	return true
}

// sameFlow compares addresses and ports, and for TCP the acknowledgement number.
func sameFlow(a, b []byte, at int) bool {
	if transport(a) != at || isTCP(a, at) != isTCP(b, at) {
		return false
	}
	from := 12
	if at == ip6Header {
		from = 8
	}
	if !bytes.Equal(a[from:at+4], b[from:at+4]) {
		return false
	}
	return !isTCP(a, at) || binary.BigEndian.Uint32(a[at+8:]) == binary.BigEndian.Uint32(b[at+8:])
}
