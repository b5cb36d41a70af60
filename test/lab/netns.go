//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsDir is where `ip netns` looks for namespaces.
const netnsDir = "/run/netns"

// Namespace is a network namespace: a host or a router.
type Namespace struct {
	// Name is its name for `ip netns exec`.
	Name string

	lab *Lab
	ns  netns.NsHandle
	nl  *netlink.Handle
}

// Namespace makes a network namespace with its loopback up. A router forwards
// packets, and looks at no packet's way back.
func (l *Lab) Namespace(name string, router bool) (*Namespace, error) {
	n := &Namespace{Name: l.name + name, lab: l}
	if err := createNamespace(n.Name); err != nil {
		return nil, fmt.Errorf("namespace %s: %w", n.Name, err)
	}
	l.Defer(n.close)
	var err error
	if n.ns, err = netns.GetFromName(n.Name); err != nil {
		return nil, err
	}
	if n.nl, err = netlink.NewHandleAt(n.ns, unix.NETLINK_ROUTE); err != nil {
		return nil, err
	}
	lo, err := n.nl.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	if err := n.nl.LinkSetUp(lo); err != nil {
		return nil, err
	}
	return n, n.sysctls(router)
}

func (n *Namespace) sysctls(router bool) error {
	set := map[string]string{
		"ipv4/conf/all/rp_filter":      "0",
		"ipv4/conf/default/rp_filter":  "0",
		"ipv6/conf/all/accept_dad":     "0",
		"ipv6/conf/default/accept_dad": "0",
		"ipv4/ping_group_range":        "0 2147483647",
	}
	if router {
		set["ipv4/ip_forward"] = "1"
		set["ipv6/conf/all/forwarding"] = "1"
	}
	return n.Do(func() error {
		for key, value := range set {
			if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
}

// Do calls f on a thread inside the namespace. Sockets made there stay there;
// goroutines started by f do not.
func (n *Namespace) Do(f func() error) error {
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() { _ = here.Close() }()
	if err := netns.Set(n.ns); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if back := netns.Set(here); back != nil {
		return errors.Join(err, back) // the thread stays locked and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// Link joins two namespaces by a pair of interfaces.
func Link(a *Namespace, nameA string, b *Namespace, nameB string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = nameA
	attrs.Namespace = netlink.NsFd(int(a.ns))
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: nameB, PeerNamespace: netlink.NsFd(int(b.ns))}
	if err := a.nl.LinkAdd(veth); err != nil {
		return fmt.Errorf("link %s/%s to %s/%s: %w", a.Name, nameA, b.Name, nameB, err)
	}
	return errors.Join(a.up(nameA), b.up(nameB))
}

func (n *Namespace) up(link string) error {
	l, err := n.nl.LinkByName(link)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", n.Name, link, err)
	}
	return n.nl.LinkSetUp(l)
}

// Address gives an interface addresses in prefix notation.
func (n *Namespace) Address(link string, prefixes ...string) error {
	l, err := n.nl.LinkByName(link)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", n.Name, link, err)
	}
	for _, p := range prefixes {
		addr, err := netlink.ParseAddr(p)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := n.nl.AddrReplace(l, addr); err != nil {
			return fmt.Errorf("%s/%s: address %s: %w", n.Name, link, p, err)
		}
	}
	return nil
}

// Default sends everything that has no other route to these gateways.
func (n *Namespace) Default(gateways ...string) error {
	for _, gw := range gateways {
		ip, err := netip.ParseAddr(gw)
		if err != nil {
			return err
		}
		if err := n.nl.RouteAdd(&netlink.Route{Gw: ip.AsSlice()}); err != nil {
			return fmt.Errorf("%s: default route via %s: %w", n.Name, gw, err)
		}
	}
	return nil
}

func (n *Namespace) close() error {
	if n.nl != nil {
		n.nl.Close()
	}
	if n.ns.IsOpen() {
		_ = n.ns.Close()
	}
	return deleteNamespace(n.Name)
}

// createNamespace makes a named namespace and leaves the calling thread where
// it was.
func createNamespace(name string) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		ns, err := netns.NewNamed(name)
		if err == nil {
			err = ns.Close()
		}
		done <- err
	}()
	return <-done
}

func deleteNamespace(name string) error {
	err := netns.DeleteNamed(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
