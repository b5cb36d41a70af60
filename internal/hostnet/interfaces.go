//go:build linux

package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kind is the kind of a tunnel interface.
type Kind uint8

// The kinds of tunnel interface.
const (
	XFRM Kind = iota // from Linux 4.19 on, module xfrm_interface
	VTI              // modules ip_vti and ip6_vti
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case XFRM:
		return "XFRM"
	case VTI:
		return "VTI"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Interface is a tunnel interface: what is routed into it is protected by the policies
// of its ID.
type Interface struct {
	Name string
	Kind Kind
	// ID is the if_id of policies and SAs, or the key of a VTI, which is their mark.
	ID uint32
	// Parent is the interface that the protected packets leave by, for what the kernel
	// needs that (offload); "": none.
	Parent string
	MTU    int // 0: the kernel's choice
	// Local and Remote are the outer addresses of a VTI, one of which may be invalid, for
	// any. They tell VTIs apart, the key does not.
	Local, Remote netip.Addr
	Addresses     []netip.Prefix
}

// InterfaceOptions say which interfaces are ours.
type InterfaceOptions struct {
	// Alias tells our interfaces from others, and those of several instances; "":
	// DefaultAlias. All begin with DefaultAlias.
	Alias string
}

// DefaultAlias is the alias (IFLA_IFALIAS) of tunnel interfaces.
const DefaultAlias = "goike tunnel"

// Interfaces are the tunnel interfaces of one instance. The methods are safe for
// concurrent use.
type Interfaces struct {
	alias  string
	kernel linkKernel
	end    func()

	mu     sync.Mutex
	given  map[string]map[netip.Prefix]bool // addresses that Set gave them
	closed bool
}

// linkKernel is what the kernel does with links; *netlink.Handle satisfies it.
type linkKernel interface {
	LinkList() ([]netlink.Link, error)
	LinkByName(name string) (netlink.Link, error)
	LinkAdd(link netlink.Link) error
	LinkDel(link netlink.Link) error
	LinkSetAlias(link netlink.Link, alias string) error
	LinkSetName(link netlink.Link, name string) error
	LinkSetMTU(link netlink.Link, mtu int) error
	LinkSetIP6AddrGenMode(link netlink.Link, mode int) error
	LinkSetUp(link netlink.Link) error
	AddrList(link netlink.Link, family int) ([]netlink.Addr, error)
	AddrReplace(link netlink.Link, addr *netlink.Addr) error
	AddrDel(link netlink.Link, addr *netlink.Addr) error
}

// OpenInterfaces changes nothing yet: interfaces that a killed instance has left stay
// until the first Set.
func OpenInterfaces(_ context.Context, o InterfaceOptions) (*Interfaces, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("the kernel's interfaces (netlink) cannot be reached: %w", err)
	}
	return newInterfaces(o, h, h.Close), nil
}

func newInterfaces(o InterfaceOptions, k linkKernel, end func()) *Interfaces {
	alias := DefaultAlias
	if o.Alias != "" && o.Alias != DefaultAlias {
		alias += " " + o.Alias
	}
	return &Interfaces{alias: alias, kernel: k, end: end, given: make(map[string]map[netip.Prefix]bool)}
}

// Set makes list the tunnel interfaces, which are up then. Only what differs is
// changed: MTU and addresses in place, an interface that is to be another is made
// anew. What can be done is done; the error names the first failure. An interface with
// a name that is wanted, but which is not ours, is left alone and is an error. After
// Close it returns net.ErrClosed.
func (s *Interfaces) Set(ctx context.Context, list []Interface) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if err := checkInterfaces(list); err != nil {
		return err
	}
	return s.set(ctx, list)
}

// Close removes the interfaces that are ours.
func (s *Interfaces) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.set(context.Background(), nil)
	s.end()
	return err
}

// checkInterfaces tells what is wrong with a list, whatever there is.
func checkInterfaces(list []Interface) error {
	names := make(map[string]bool)
	ids := make(map[any]string)
	for i := range list {
		f := &list[i]
		if err := f.check(); err != nil {
			return err
		}
		if names[f.Name] {
			return fmt.Errorf("interface %s is wanted twice", f.Name)
		}
		names[f.Name] = true
		if other := ids[f.identity()]; other != "" {
			return fmt.Errorf("interfaces %s and %s have the same %s", other, f.Name, f.distinction())
		}
		ids[f.identity()] = f.Name
	}
	return nil
}

// identity is what the kernel allows only one interface to have.
func (f *Interface) identity() any {
	if f.Kind == XFRM {
		return f.ID
	}
	local, remote := f.ends()
	return [3]any{local, remote, f.Parent}
}

// distinction names that for people.
func (f *Interface) distinction() string {
	if f.Kind == XFRM {
		return fmt.Sprintf("ID %d", f.ID)
	}
	return "outer addresses"
}

// The longest name of an interface (IFNAMSIZ less the final zero), and the smallest and
// largest MTU of one that carries IPv4.
const (
	longestName = unix.IFNAMSIZ - 1
	leastMTU    = 68
	mostMTU     = 65535
)

func (f *Interface) check() error {
	switch {
	case !goodName(f.Name):
		return fmt.Errorf("interface name %q: 1 to %d letters, digits and signs but / and : are allowed", f.Name, longestName)
	case f.Kind > VTI:
		return fmt.Errorf("interface %s: %s is not known", f.Name, f.Kind)
	case f.Kind == XFRM && f.ID == 0:
		return fmt.Errorf("interface %s: an XFRM interface needs an ID other than 0", f.Name)
	case f.MTU != 0 && (f.MTU < leastMTU || f.MTU > mostMTU):
		return fmt.Errorf("interface %s: MTU %d: %d to %d are allowed", f.Name, f.MTU, leastMTU, mostMTU)
	case f.Kind == VTI && !f.Local.IsValid() && !f.Remote.IsValid():
		return fmt.Errorf("interface %s: a VTI needs a local or a remote outer address", f.Name)
	case f.Kind == VTI && f.Local.IsValid() && f.Remote.IsValid() && f.Local.Unmap().Is4() != f.Remote.Unmap().Is4():
		return fmt.Errorf("interface %s: %s and %s are of different families", f.Name, f.Local, f.Remote)
	}
	for _, a := range f.Addresses {
		if !a.IsValid() {
			return fmt.Errorf("interface %s: an address is not valid", f.Name)
		}
	}
	return nil
}

func goodName(name string) bool {
	if name == "" || name == "." || name == ".." || name == newName || len(name) > longestName {
		return false
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == '/' || c == ':' || c == '%' {
			return false
		}
	}
	return true
}

// cannotMake says why the kernel made no interface.
func cannotMake(f *Interface, err error) error {
	module := "xfrm_interface"
	if f.Kind == VTI {
		module = "ip_vti, ip6_vti"
	}
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("interface %s: this kernel has no %s interfaces (module %s): %w", f.Name, f.Kind, module, err)
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("interface %s: another %s interface has the same %s: %w", f.Name, f.Kind, f.distinction(), err)
	}
	return fmt.Errorf("interface %s: %w", f.Name, err)
}
