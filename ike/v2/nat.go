package v2

import (
	"crypto/sha1" //nolint:gosec // the protocol demands it, RFC 7296, 2.23
	"encoding/binary"
	"net/netip"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// natState is what NAT detection found (RFC 7296, 2.23).
type natState struct {
	local, remote bool // behind a NAT: this host, the peer
	forced        bool // UDP encapsulation is configured without one
}

// encap tells whether ESP goes in UDP.
func (n natState) encap() bool { return n.local || n.remote || n.forced }

// natHash is the data of the NAT detection notifies.
func natHash(spiI, spiR uint64, a netip.AddrPort) []byte {
	b := appendSPIs(make([]byte, 0, 34), spiI, spiR)
	b = append(b, a.Addr().Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, a.Port())
	sum := sha1.Sum(b) //nolint:gosec // see above
	return sum[:]
}

// natNotifies announce our addresses. A forced encapsulation hides the source, so
// that the peer sees a NAT.
func natNotifies(spiI, spiR uint64, path ike.Path, force bool) []wire.Payload {
	src := path.Local
	if force {
		src = netip.AddrPortFrom(unspecified(src.Addr()), 0)
	}
	return []wire.Payload{
		&wire.Notify{Kind: wire.NotifyNATDetectionSourceIP, Data: natHash(spiI, spiR, src)},
		&wire.Notify{Kind: wire.NotifyNATDetectionDestinationIP, Data: natHash(spiI, spiR, path.Remote)},
	}
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// detectNAT compares the peer's notifies with where its message came from and
// went to. A peer that sends none does without.
func detectNAT(h wire.Header, path ike.Path, ps []wire.Payload) (n natState) {
	source, seenSource, seenDest := false, false, false
	dest := false
	for _, p := range ps {
		notify, ok := p.(*wire.Notify)
		if !ok {
			continue
		}
		switch notify.Kind {
		case wire.NotifyNATDetectionSourceIP:
			seenSource = true
			source = source || string(notify.Data) == string(natHash(h.SPIi, h.SPIr, path.Remote))
		case wire.NotifyNATDetectionDestinationIP:
			seenDest = true
			dest = dest || string(notify.Data) == string(natHash(h.SPIi, h.SPIr, path.Local))
		}
	}
	n.remote = seenSource && !source
	n.local = seenDest && !dest
	return n
}

// floatPorts moves the path to the ports of NAT traversal, as the initiator does
// after IKE_SA_INIT when there is a NAT.
func (sa *SA) floatPorts() {
	if sa.path.Remote.Port() != ike.Port {
		return
	}
	sa.path.Local = netip.AddrPortFrom(sa.path.Local.Addr(), ike.NATTPort)
	sa.path.Remote = netip.AddrPortFrom(sa.path.Remote.Addr(), ike.NATTPort)
}

// moved follows a peer behind a NAT whose mapping has changed; only an authentic
// message that is not a repetition may do that (RFC 7296, 2.23).
func (sa *SA) moved(_ ike.Instant, to ike.Path, fx *ike.Effects) {
	if to == sa.path || !sa.nat.remote || sa.nat.local || sa.mobile.on {
		return // with MOBIKE the peer says so, RFC 4555, 3.9
	}
	old := sa.path
	sa.path = to
	if sa.state != ike.Up && sa.state != ike.Rekeying {
		return
	}
	sa.moveChildren(to, fx)
	sa.say(fx, ike.Warning, "peer's NAT mapping changed from %s to %s", old.Remote, to.Remote)
}

func (sa *SA) moveChildren(to ike.Path, fx *ike.Effects) {
	for _, c := range sa.children {
		fx.Do(ike.Install{Ops: c.Move(to, sa.nat.encap(), sa.nat.local)})
	}
}

// fetch moves a child to the path in use that was made for an earlier one. While the
// peer is being told of a path its answer moves all.
func (sa *SA) fetch(c *child.SA, fx *ike.Effects) {
	if c.Path != sa.path && sa.mobile.was == (ike.Path{}) {
		fx.Do(ike.Install{Ops: c.Move(sa.path, sa.nat.encap(), sa.nat.local)})
	}
}
