package v2

import (
	"crypto/sha256"
	"errors"
	"math"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// message is an authentic message, parsed.
type message struct {
	header   wire.Header
	payloads []wire.Payload
	path     ike.Path
	strayed  bool // it answers what was sent by more than one path
}

// maxFragments bounds the fragments of a message; with fragments of the smallest
// useful size that is still the largest message that IKE has use for.
const maxFragments = 64

// plaintextLimit bounds a reassembled message.
const plaintextLimit = 64 << 10

// reassembly collects the fragments of one message (RFC 7383, 2.6). Only
// authentic fragments get in.
type reassembly struct {
	id    uint32
	first wire.PayloadType
	total uint16
	have  int
	size  int
	parts [][]byte
}

var (
	errFragment  = errors.New("fragment does not fit the others")
	errPlain     = errors.New("message is not protected")
	errDuplicate = errors.New("fragment was received already")
	errExhausted = errors.New("the message IDs of the IKE SA are used up")
)

// receive handles a datagram: which message it is, whether it is authentic, and
// only then what it says.
func (sa *SA) receive(now ike.Instant, dg ike.Datagram, fx *ike.Effects) {
	h, err := wire.ParseHeader(dg.Data)
	if err != nil || h.Major != 2 || (h.SPIi != sa.spiI && sa.spiI != 0) {
		return
	}
	if fromInitiator := h.Flags&wire.FlagInitiator != 0; fromInitiator == sa.initiator {
		return
	}
	response := h.Flags&wire.FlagResponse != 0
	switch {
	case h.Exchange == wire.IKESAInit && response:
		sa.receiveInitReply(now, h, dg, fx)
	case h.Exchange == wire.IKESAInit:
		sa.receiveInitRequest(now, h, dg, fx)
	case h.Exchange == wire.IKESessionResume && response:
		sa.receiveResumeReply(now, h, dg, fx)
	case h.Exchange == wire.IKESessionResume:
		sa.receiveResumeRequest(now, h, dg, fx)
	case !sa.keys.ready():
		return
	case response:
		sa.receiveReply(now, h, dg, fx)
	default:
		sa.receiveRequest(now, h, dg, fx)
	}
}

// receiveReply takes the response to the request under way.
func (sa *SA) receiveReply(now ike.Instant, h wire.Header, dg ike.Datagram, fx *ike.Effects) {
	out := sa.win.out
	if out == nil || out.id != h.MessageID || out.exchange != h.Exchange || sa.active == nil {
		return
	}
	m, perr, got := sa.open(h, dg)
	if got != whole {
		return
	}
	sa.win.out, sa.heard = nil, now
	countReceived(fx, h.Exchange, responseIn, perr != nil)
	if perr != nil {
		sa.brokenReply(now, perr, fx)
		return
	}
	sa.moved(now, dg.Path, fx)
	m.strayed = out.strayed
	sa.answeredBy(now, dg.Path, out, fx)
	sa.lives(fx)
	x := sa.active
	x.reply(sa, now, m, fx)
}

// brokenReply ends an IKE SA whose peer answers what cannot be understood: there
// is no way to tell it (RFC 7296, 2.21.3).
func (sa *SA) brokenReply(now ike.Instant, perr *wire.ProtocolError, fx *ike.Effects) {
	why := &ike.Refusal{Cause: ike.BadMessage, Err: perr.Reason}
	if _, ok := sa.active.(*authExchange); ok {
		sa.renounce(now, why, fx)
		return
	}
	sa.close(now, "the peer's answer cannot be understood", why, fx)
}

// receiveRequest takes the peer's next request, or repeats the reply to its last.
func (sa *SA) receiveRequest(now ike.Instant, h wire.Header, dg ike.Datagram, fx *ike.Effects) {
	if sa.receiveSync(now, h, dg, fx) {
		return
	}
	if h.MessageID == sa.win.nextRecv-1 {
		sa.repeat(now, dg, fx)
		return
	}
	if h.MessageID != sa.win.nextRecv || sa.serving != nil || !sa.expects(h.Exchange) {
		return
	}
	sum := sha256.Sum256(dg.Data)
	first := isFirstFragment(h, dg.Data)
	m, perr, got := sa.open(h, dg)
	if first && got != nothing {
		sa.win.lastDigest, sa.win.lastReply = sum, nil
	}
	if got != whole {
		return
	}
	sa.heard = now
	countReceived(fx, h.Exchange, requestIn, perr != nil)
	sa.knownAll(fx)
	if sa.state == ike.Connecting {
		sa.path = dg.Path // the initiator may have gone over to the ports of NAT traversal
	} else {
		sa.moved(now, dg.Path, fx)
	}
	sa.serving = &serving{header: h, path: dg.Path}
	if perr != nil {
		sa.refuseBroken(now, perr, fx)
		return
	}
	sa.serve(now, m, fx)
}

// expects tells whether a request of the peer is in order: IKE_AUTH until the IKE
// SA is established, and never after that.
func (sa *SA) expects(x wire.ExchangeType) bool {
	switch {
	case sa.win.nextRecv == math.MaxUint32:
		return false // message IDs do not wrap, RFC 7296, 2.2
	case sa.established == ike.Never:
		return x == wire.IKEAuth && !sa.initiator
	}
	return x != wire.IKEAuth
}

// isFirstFragment tells whether a packet is the one whose retransmission is to be
// answered: a whole message, or its fragment 1 (RFC 7383, 2.6.1).
func isFirstFragment(h wire.Header, b []byte) bool {
	if h.NextPayload != wire.PayloadSKF {
		return true
	}
	const number = wire.HeaderLen + 4
	return len(b) >= number+2 && b[number] == 0 && b[number+1] == 1
}

// opened is what came of a packet.
type opened uint8

const (
	nothing opened = iota // not authentic, or not expected: as if it had not come
	part                  // an authentic fragment, others are missing
	whole                 // an authentic message
)

// open authenticates and parses a protected message. perr is set for an authentic
// message that breaks the protocol.
func (sa *SA) open(h wire.Header, dg ike.Datagram) (*message, *wire.ProtocolError, opened) {
	outer, err := wire.Parse(h.NextPayload, dg.Data[wire.HeaderLen:h.Length], wire.Limits{})
	if err != nil || len(outer) == 0 {
		return nil, nil, nothing
	}
	var first wire.PayloadType
	var plain []byte
	switch p := outer[len(outer)-1].(type) {
	case *wire.SK:
		first = p.First
		plain, err = sa.decrypt(dg.Data[:h.Length], p.Body)
	case *wire.SKF:
		first, plain, err = sa.collect(h, dg.Data[:h.Length], p)
	default:
		err = errPlain
	}
	switch {
	case err != nil:
		return nil, nil, nothing
	case plain == nil:
		return nil, nil, part
	}
	ps, err := wire.Parse(first, plain, wire.Limits{})
	if err == nil {
		err = wire.Check(h.Exchange, h.Flags&wire.FlagResponse != 0, true, ps)
	}
	if err != nil {
		return nil, protocolError(err), whole
	}
	return &message{header: h, payloads: ps, path: dg.Path}, nil, whole
}

func protocolError(err error) *wire.ProtocolError {
	var perr *wire.ProtocolError
	if errors.As(err, &perr) {
		return perr
	}
	return &wire.ProtocolError{Notify: wire.NotifyInvalidSyntax, Reason: err.Error()}
}

// decrypt opens the body of an encrypted payload, which ends the message.
func (sa *SA) decrypt(msg, body []byte) ([]byte, error) {
	s, err := sa.opener()
	if err != nil {
		return nil, err
	}
	plain, err := s.Open(msg, len(msg)-len(body), nil)
	if err != nil {
		return nil, err
	}
	if len(plain) == 0 || int(plain[len(plain)-1])+1 > len(plain) {
		return nil, errPlain
	}
	return plain[:len(plain)-1-int(plain[len(plain)-1])], nil
}

// collect opens a fragment and returns the whole plaintext with the last one, nil
// before that.
func (sa *SA) collect(h wire.Header, msg []byte, p *wire.SKF) (wire.PayloadType, []byte, error) {
	if !sa.fragments || p.Total == 0 || p.Total > maxFragments || p.Fragment == 0 || p.Fragment > p.Total {
		return 0, nil, errFragment
	}
	r := &sa.win.fragments[direction(h)]
	fresh := r.have == 0 || r.id != h.MessageID || p.Total > r.total
	if !fresh && (p.Total < r.total || r.parts[p.Fragment-1] != nil) {
		return 0, nil, errDuplicate
	}
	plain, err := sa.decrypt(msg, p.Body)
	if err != nil {
		return 0, nil, err
	}
	if fresh {
		*r = reassembly{id: h.MessageID, total: p.Total, parts: make([][]byte, p.Total)}
	}
	return r.add(p, plain)
}

// direction is 1 for responses and 0 for requests.
func direction(h wire.Header) int {
	if h.Flags&wire.FlagResponse != 0 {
		return 1
	}
	return 0
}

// add keeps a fragment's plaintext, and joins all when none is missing.
func (r *reassembly) add(p *wire.SKF, plain []byte) (wire.PayloadType, []byte, error) {
	if r.size += len(plain); r.size > plaintextLimit {
		*r = reassembly{}
		return 0, nil, errFragment
	}
	if p.Fragment == 1 {
		r.first = p.First
	}
	r.parts[p.Fragment-1] = append(make([]byte, 0, len(plain)+1), plain...)
	if r.have++; r.have < int(r.total) {
		return 0, nil, nil
	}
	all := make([]byte, 0, r.size)
	for _, piece := range r.parts {
		all = append(all, piece...)
	}
	first := r.first
	*r = reassembly{}
	return first, all, nil
}

// protect builds a protected message of ours, in fragments when it is too large
// for one datagram and the peer takes them.
func (sa *SA) protect(h wire.Header, ps ...wire.Payload) ([][]byte, error) {
	inner, first, err := wire.AppendPayloads(nil, ps...)
	if err != nil {
		return nil, err
	}
	single, err := sa.sealInto(h, &wire.SK{First: first}, inner)
	if err != nil {
		return nil, err
	}
	if !sa.fragments || len(single) <= sa.datagramRoom() || !sa.mayFragment() {
		return [][]byte{single}, nil
	}
	return sa.protectFragments(h, first, inner)
}

func (sa *SA) mayFragment() bool { return sa.conn == nil || sa.conn.Fragmentation }

// datagramRoom is how large an IKE message may be: the configured IP datagram
// without IP and UDP headers and the non-ESP marker.
func (sa *SA) datagramRoom() int {
	size := 1280
	if sa.conn != nil && sa.conn.FragmentSize > 0 {
		size = sa.conn.FragmentSize
	}
	if sa.path.Remote.Addr().Is4() {
		return size - 20 - 8 - 4
	}
	return size - 40 - 8 - 4
}

// protectFragments divides inner into encrypted fragments (RFC 7383, 2.5).
func (sa *SA) protectFragments(h wire.Header, first wire.PayloadType, inner []byte) ([][]byte, error) {
	s, err := sa.sealer()
	if err != nil {
		return nil, err
	}
	const skfHeader = 4 + 4
	room := sa.datagramRoom() - wire.HeaderLen - skfHeader - s.IVLen() - s.ICVLen() - s.Align()
	room = max(room, 64)
	total := (len(inner) + room - 1) / room
	if total > maxFragments {
		return nil, errFragment
	}
	var out [][]byte
	for n := 1; n <= total; n++ {
		piece := inner[:min(room, len(inner))]
		inner = inner[len(piece):]
		skf := &wire.SKF{Fragment: uint16(n), Total: uint16(total)}
		if n == 1 {
			skf.First = first
		}
		msg, err := sa.sealInto(h, skf, piece)
		if err != nil {
			return nil, err
		}
		out = append(out, msg)
	}
	return out, nil
}

// sealInto seals inner as the body of sk behind the header h.
func (sa *SA) sealInto(h wire.Header, sk wire.Payload, inner []byte) ([]byte, error) {
	s, err := sa.sealer()
	if err != nil {
		return nil, err
	}
	pad := padding(len(inner)+1, s.Align())
	n := s.IVLen() + len(inner) + pad + 1 + s.ICVLen()
	msg, head, err := wire.AppendSealed(nil, h, sk, n)
	if err != nil {
		return nil, err
	}
	text := msg[head+s.IVLen():]
	copy(text, inner)
	text[len(inner)+pad] = byte(pad)
	s.Seal(msg, head, nil, sa.ivCounter)
	sa.ivCounter++
	return msg, nil
}

// padding is how many octets fill n up to a multiple of align.
func padding(n, align int) int {
	if align <= 1 {
		return 0
	}
	return (align - n%align) % align
}

// request sends a request of ours with the payloads ps.
func (sa *SA) request(now ike.Instant, x wire.ExchangeType, fx *ike.Effects, ps ...wire.Payload) {
	packets, err := sa.protect(sa.header(x, sa.win.nextSend, false), ps...)
	if err == nil && sa.win.exhausted() {
		err = errExhausted
	}
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	sa.transmit(now, x, packets, fx)
	sa.win.out.payloads = ps
}

// answer sends the reply to the request being served.
func (sa *SA) answer(now ike.Instant, fx *ike.Effects, ps ...wire.Payload) {
	h := sa.serving.header
	packets, err := sa.protect(sa.header(h.Exchange, h.MessageID, true), ps...)
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	sa.respond(packets, fx)
}
