// Package systemd tells systemd how the daemon is doing (sd_notify(3)). Without
// systemd every function does nothing.
package systemd

import (
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// The states that a service tells.
const (
	Ready     = "READY=1"
	Stopping  = "STOPPING=1"
	Watchdog  = "WATCHDOG=1"
	Reloading = "RELOADING=1"
)

// Notify sends states to systemd, where it asked for that (NOTIFY_SOCKET).
func Notify(states ...string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	// A name that begins with @ is in the abstract namespace; package net knows that.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(strings.Join(states, "\n")))
	return err
}

// Status is the state that `systemctl status` shows as a line of text.
func Status(text string) string { return "STATUS=" + strings.ReplaceAll(text, "\n", " ") }

// WatchdogInterval is how often Watchdog is to be sent: half the time after which
// systemd would end the service (sd_watchdog_enabled(3)); 0: not at all.
func WatchdogInterval() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}
