//go:build linux

// Package tun opens the tunnel device that packets for protected networks are
// routed into. It moves packets in batches: the kernel hands over trains of TCP and
// UDP packets, which are cut here, and takes trains, which are joined here. Packets
// that are no train are collected as far as they are there already.
package tun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

// Headroom is the number of octets before a packet that Read and Write may overwrite;
// less must not be given as offset.
const Headroom = 10 // struct virtio_net_hdr

const path = "/dev/net/tun"

// Device is a tunnel device. Its methods are safe for concurrent use.
type Device struct {
	dev      tun.Device
	name     string
	index    int
	mtu      int
	warnings []string
	reads    reader
}

// Open makes the tunnel device name, or takes over one that was made for this user,
// gives it the MTU, and brings it up, without addresses. An empty name lets the
// kernel choose. Packets from it are not checked for their way back (rp_filter).
//
// Errors say in words what is the matter. They wrap fs.ErrNotExist when there is no
// /dev/net/tun, syscall.EPERM without CAP_NET_ADMIN, syscall.EBUSY when another
// program has the device.
func Open(name string, mtu int) (*Device, error) {
	if len(name) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("tunnel device %q: the name has %d characters, at most %d are allowed", name, len(name), unix.IFNAMSIZ-1)
	}
	fd, err := create(name)
	if err != nil {
		return nil, explain(name, err)
	}
	dev, name, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return nil, fmt.Errorf("tunnel device %s: %w", name, err)
	}
	d := &Device{dev: dev, name: name, mtu: mtu}
	if err := errors.Join(d.reads.init(dev), d.configure()); err != nil {
		return nil, errors.Join(fmt.Errorf("tunnel device %s: %w", name, err), dev.Close())
	}
	return d, nil
}

// create opens the device with virtio headers, which trains come with.
func create(name string) (fd int, err error) {
	if fd, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// explain turns the error of opening a device into a sentence.
func explain(name string, err error) error {
	var open *fs.PathError
	isOpen := errors.As(err, &open)
	switch {
	case isOpen && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s: a tunnel device needs it (module tun; in a container it has to be passed in): %w", path, err)
	case isOpen && (errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO)):
		return fmt.Errorf("%s is there, but the kernel has no tunnel devices (module tun): %w: %w", path, fs.ErrNotExist, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("tunnel device %s: permission denied (CAP_NET_ADMIN is needed, and access to %s): %w", name, path, err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("tunnel device %s: another program has it: %w", name, err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("tunnel device %s: an interface of another kind has this name, or it is no name for an interface: %w", name, err)
	}
	return fmt.Errorf("tunnel device %s cannot be opened: %w", name, err)
}

// queueLen is how many packets wait in the device while nobody reads: as many as in
// that of an Ethernet interface. The kernel's own choice is half of that, which a
// short pause of the reader fills.
const queueLen = 1000

// genNone is IN6_ADDR_GEN_MODE_NONE: no link-local address is made.
const genNone = 1

// configure gives the device its MTU and brings it up.
func (d *Device) configure() error {
	link, err := netlink.LinkByName(d.name)
	if err != nil {
		return err
	}
	d.index = link.Attrs().Index
	if err := netlink.LinkSetMTU(link, d.mtu); err != nil {
		return fmt.Errorf("MTU %d: %w", d.mtu, err)
	}
	if err := netlink.LinkSetTxQLen(link, queueLen); err != nil {
		d.warnings = append(d.warnings, fmt.Sprintf("the queue of %s keeps its length: %v", d.name, err))
	}
	// Without IPv6 there is no address to keep away either.
	if err := netlink.LinkSetIP6AddrGenMode(link, genNone); err != nil && hasIPv6(d.name) {
		d.warnings = append(d.warnings, fmt.Sprintf("%s gets a link-local address: %v", d.name, err))
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+d.name+"/rp_filter", []byte("0"), 0); err != nil {
		d.warnings = append(d.warnings, fmt.Sprintf("rp_filter of %s could not be turned off, packets out of the tunnel may be dropped: %v", d.name, err))
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot be brought up: %w", err)
	}
	return nil
}

func hasIPv6(name string) bool {
	_, err := os.Stat("/proc/sys/net/ipv6/conf/" + name)
	return err == nil
}

// Warnings are lines for the log about what Open could not do and can do without.
func (d *Device) Warnings() []string { return d.warnings }

// Name is the name of the interface.
func (d *Device) Name() string { return d.name }

// Index is the index of the interface.
func (d *Device) Index() int { return d.index }

// MTU is the MTU that the device was opened with.
func (d *Device) MTU() int { return d.mtu }

// BatchSize is the largest number of packets that Write takes, and that is worth
// having buffers for in Read.
func (d *Device) BatchSize() int { return d.dev.BatchSize() }

// Write sends the packets bufs[i][offset:] to the host; offset is Headroom at least,
// and at most BatchSize packets are taken. Those of a flow are joined in the capacity
// of the buffer of the first one. The content of bufs is undefined afterwards.
func (d *Device) Write(bufs [][]byte, offset int) (int, error) { return d.dev.Write(bufs, offset) }

// Close removes the device, unless it was made to persist. Read returns.
func (d *Device) Close() error { return d.dev.Close() }
