//go:build linux

package netlink

import (
	"bytes"
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

// listenSize holds some ten thousand notices.
var listenSize = size{datagrams: 16, octets: 16 << 10, receive: 16 << 20}

// maxLate is how often notices from before a loss are returned before it is told, at
// most: usually there are none left much earlier.
const maxLate = 4096

// Listener receives notices. Only one goroutine at a time may call Receive.
type Listener struct {
	t    transport
	port uint32 // of the Conn's requests
	lost bool   // is to be told
	late int    // how often something was returned since
}

// Listen subscribes to groups. Groups that this kernel does not have are left out. The
// caller has to be in the network namespace of the Conn, which the Listener does not
// need to be open.
func (c *Conn) Listen(groups ...message.Group) (*Listener, error) {
	return c.listen(listenSize, groups)
}

func (c *Conn) listen(s size, groups []message.Group) (*Listener, error) {
	t, err := openSocket(s)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err = t.join(int(g)); err != nil {
			_ = t.close()
			return nil, err
		}
	}
	return &Listener{t: t, port: c.port}, nil
}

// Receive waits for notices and returns those that have come; ErrLost when some were
// lost, net.ErrClosed after Close, the context's error when it is done. Notices from
// before a loss come before ErrLost.
func (l *Listener) Receive(ctx context.Context) ([]Message, error) {
	for {
		if l.lost && l.late >= maxLate {
			return nil, l.tell()
		}
		ds, err := l.read(ctx)
		switch {
		case err == nil:
			list := l.messages(ds)
			zero(ds)
			if len(list) > 0 {
				l.late++
				return list, nil
			}
		case errors.Is(err, unix.ENOBUFS):
			l.loss()
		case l.lost && errors.Is(err, unix.EAGAIN):
			return nil, l.tell()
		default:
			return nil, err
		}
	}
}

// loss notes that something was lost.
func (l *Listener) loss() {
	if !l.lost {
		l.lost, l.late = true, 0
	}
}

func (l *Listener) tell() error {
	l.lost = false
	return ErrLost
}

func (l *Listener) read(ctx context.Context) ([]datagram, error) {
	if !l.lost {
		return await(ctx, l.t, 0)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.t.receive(false)
}

// messages reads datagrams. What cannot be read is lost.
func (l *Listener) messages(ds []datagram) []Message {
	var list []Message
	for _, d := range ds {
		if d.cut {
			l.loss()
			continue
		}
		for rest := bytes.Clone(d.b); len(rest) > 0; {
			h, body, next, err := split(rest)
			if err != nil || h.typ == unix.NLMSG_OVERRUN {
				l.loss()
				clear(rest)
				break
			}
			if h.typ >= unix.NLMSG_MIN_TYPE {
				list = append(list, Message{Type: message.Type(h.typ), Body: body, Own: l.own(h)})
			}
			rest = next
		}
	}
	return list
}

// own says whether the kernel repeats the port ID and sequence number of one of our
// requests. What happens by itself has neither.
func (l *Listener) own(h header) bool { return h.port == l.port && h.port != 0 && h.seq != 0 }

// Close ends the subscription.
func (l *Listener) Close() error { return l.t.close() }
