package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
)

// RedirectRequest names the IKE SAs whose peers are to be sent to another gateway (RFC
// 5685): those to which all that is given applies.
type RedirectRequest struct {
	Conn    string        // connection
	ConnID  uint64        // unique ID
	PeerIP  conf.Selector // addresses of the peer; First is invalid: any
	PeerID  id.ID         // identity of the peer, with wildcards; of kind Any: any
	Gateway string        // an address or a host name
}

// Matches tells whether an IKE SA is meant.
func (r RedirectRequest) Matches(st ike.Status) bool {
	peer := st.Path.Remote.Addr().Unmap()
	within := func() bool {
		return peer.Is4() == r.PeerIP.First.Is4() && r.PeerIP.First.Compare(peer) <= 0 && peer.Compare(r.PeerIP.Last) <= 0
	}
	return st.Version == 2 && st.Established != ike.Never && (r.Conn == "" || r.Conn == st.Conn) && (r.ConnID == 0 || r.ConnID == st.ID) &&
		(!r.PeerIP.First.IsValid() || within()) && (r.PeerID.Kind == id.Any || r.PeerID.Match(st.RemoteID) > 0)
}

var (
	errNoRedirectGateway = errors.New("missing target gateway")
	errNoRedirectChoice  = errors.New("missing redirect selector")
)

// newRedirect reads the arguments of redirect.
func newRedirect(args *Message) (RedirectRequest, error) {
	r := RedirectRequest{Conn: args.Get("ike"), Gateway: args.Get("gateway")}
	if r.Gateway == "" {
		return r, errNoRedirectGateway
	}
	gateway, err := conf.ParseGateway(r.Gateway)
	if err == nil && !gateway.Dialable() {
		err = errors.New("names no single host")
	}
	if err != nil {
		return r, fmt.Errorf("unsupported gateway identity: gateway = %q %w; allowed: an address or a host name", r.Gateway, err)
	}
	connID, err := number(args, "ike-id", 0)
	if err != nil {
		return r, err
	}
	r.ConnID = uint64(connID)
	if text := args.Get("peer-ip"); text != "" {
		if r.PeerIP, err = conf.ParseSelector(text); err != nil {
			return r, fmt.Errorf("invalid peer IP selector: peer-ip = %q %w; allowed: an address, a network or a range", text, err)
		}
	}
	if text := args.Get("peer-id"); text != "" {
		if r.PeerID, err = id.Parse(text); err != nil {
			return r, fmt.Errorf("invalid peer identity selector: peer-id = %q cannot be used: %w", text, err)
		}
	}
	if r.Conn == "" && r.ConnID == 0 && args.Get("peer-ip") == "" && args.Get("peer-id") == "" {
		return r, errNoRedirectChoice
	}
	return r, nil
}

// redirect sends peers to another gateway. It succeeds when every one that matches can
// be sent there.
func redirect(ctx context.Context, s *session, args *Message) *Message {
	r, err := newRedirect(args)
	if err != nil {
		return failure(err)
	}
	n, err := s.server.backend.Redirect(ctx, r)
	return matched(n, err)
}
