package sim

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// ladderSize is how many steps are kept for a ladder diagram.
const ladderSize = 4096

// rung is one step: a message under way, or what a host says.
type rung struct {
	at       ike.Instant
	from, to netip.Addr // to is invalid for what a host says
	head     [wire.HeaderLen]byte
	size     int
	delay    time.Duration
	conn     string // of which a host speaks
	text     string
}

func (w *World) keep(r rung) {
	r.at = w.now
	if len(w.ladder) < ladderSize {
		w.ladder = append(w.ladder, r)
	} else {
		w.ladder[w.rungs%ladderSize] = r
	}
	w.rungs++
}

func (w *World) draw(from, to netip.Addr, p packet, delay time.Duration, fate string) {
	if p.probe != nil {
		return
	}
	r := rung{from: from, to: to, size: len(p.data), delay: delay, text: fate}
	copy(r.head[:], p.data)
	w.keep(r)
}

// remark keeps what a host says; progress of a negotiation can be seen in the messages.
func (w *World) remark(h *Host, r ike.Report) {
	if r.Kind != ike.Step {
		w.keep(rung{from: h.home, conn: r.Conn, text: r.Conn + "/" + r.Child + ": " + r.Text})
	}
}

// Ladder draws the last steps of a connection of two hosts, a on the left.
func (w *World) Ladder(conn string, a, b netip.Addr, last int) string {
	var lines []string
	for i := range w.ladder {
		r := &w.ladder[(w.rungs+i)%len(w.ladder)]
		between := r.from == a && r.to == b || r.from == b && r.to == a
		if between || !r.to.IsValid() && r.conn == conn && (r.from == a || r.from == b) {
			lines = append(lines, r.line(a))
		}
	}
	return strings.Join(lines[max(0, len(lines)-last):], "\n")
}

func (r rung) line(left netip.Addr) string {
	at := fmt.Sprintf("%12.3f ", time.Duration(r.at).Seconds())
	if r.to.IsValid() && r.text != "lost" {
		r.text = r.delay.Round(time.Millisecond).String() + r.text
	}
	switch {
	case !r.to.IsValid() && r.from == left:
		return at + "* " + r.text
	case !r.to.IsValid():
		return at + strings.Repeat(" ", 50) + "* " + r.text
	case r.from == left:
		return at + fmt.Sprintf("|-- %-40s -->| %s", r.name(), r.text)
	}
	return at + fmt.Sprintf("|<-- %-40s --| %s", r.name(), r.text)
}

// name tells the message by its header.
func (r *rung) name() string {
	h, err := wire.ParseHeader(append(r.head[:24:24], 0, 0, 0, wire.HeaderLen))
	if err != nil {
		return fmt.Sprintf("%d octets", r.size)
	}
	kind := "request"
	if h.Flags&wire.FlagResponse != 0 {
		kind = "response"
	}
	return fmt.Sprintf("%v %s %d of %04x.%04x", h.Exchange, kind, h.MessageID, h.SPIi>>48, h.SPIr>>48)
}
