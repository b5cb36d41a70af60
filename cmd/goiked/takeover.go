//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"time"

	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/internal/keep"
)

// openStore opens what keeps IKE SAs for the next process, and reads what an earlier one
// has left. Without it goiked works, and a restart sets all up anew.
func (d *daemon) openStore() {
	s, left, notice, err := keep.Open(d.opts.runDir)
	if notice != "" {
		d.warn(notice)
	}
	if err != nil {
		d.warn("IKE SAs are not kept for a restart, which will set all up anew: " + err.Error())
		return
	}
	d.store = s
	for _, r := range left {
		d.left = append(d.left, engine.Kept(r))
	}
	d.log.Info("IKE SAs are kept for a restart", "how", s.Kind(), "taken over", len(left))
}

// keeper is the store as the engine wants it.
func (d *daemon) keeper() engine.Store {
	if d.store == nil {
		return nil
	}
	return storeOf{d.store}
}

type storeOf struct{ *keep.Store }

// Write implements engine.Store.
func (s storeOf) Write(records []engine.Kept) error {
	list := make([]keep.Record, len(records))
	for i, r := range records {
		list[i] = keep.Record(r)
	}
	return s.Store.Write(list)
}

// closeStore removes what was kept: the peers know that all is gone.
func (d *daemon) closeStore() {
	if d.store == nil {
		return
	}
	if err := d.store.Remove(); err != nil {
		d.warn("what was kept for a restart cannot be removed: " + err.Error())
	}
}

// leaveTime is how long exchanges under way have to end before another process takes
// over.
const leaveTime = 2 * time.Second

// leave ends the process for another one that takes over: SAs, policies, routes and
// interfaces stay, and no peer is told. Without a store it does nothing.
func (d *daemon) leave(s os.Signal) {
	if d.store == nil {
		d.warn("nothing is kept that another goiked could take over")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	d.engine.Leave(ctx)
	cancel()
	if !d.store.Usable() {
		d.warn("what another goiked could take over could not be written down")
		return
	}
	d.log.Info("ending: the next goiked takes over", "signal", s.String())
	d.quit()
}

// restartTime bounds the question to systemd.
const restartTime = time.Second

// restarting tells whether systemd stops this service in order to start it again.
func (d *daemon) restarting() bool {
	if os.Getenv("INVOCATION_ID") == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), restartTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "list-jobs", "--no-legend", "--plain").Output()
	return err == nil && restartJob(out, unitName())
}

// restartJob tells whether a list of systemd's jobs has one that restarts a unit.
func restartJob(jobs []byte, unit string) bool {
	for line := range bytes.Lines(jobs) {
		words := bytes.Fields(line) // number, unit, type, state
		if len(words) >= 3 && string(words[1]) == unit && (string(words[2]) == "restart" || string(words[2]) == "try-restart") {
			return true
		}
	}
	return false
}

// unitName is the service that this process is of, by its control group.
func unitName() string {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	return unitIn(b)
}

func unitIn(cgroups []byte) string {
	for line := range bytes.Lines(cgroups) {
		for part := range bytes.SplitSeq(bytes.TrimSpace(line), []byte("/")) {
			if bytes.HasSuffix(part, []byte(".service")) {
				return string(part)
			}
		}
	}
	return ""
}
