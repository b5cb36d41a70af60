//go:build linux

package kernel

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/test/lab"
)

// vici speaks to a daemon of either make. The tools would take a second for each
// question in a virtual machine.
type vici struct{ socket string }

func newVICI(uri string) vici { return vici{strings.TrimPrefix(uri, "unix://")} }

func (v vici) stream(command, event string, args *control.Message, fn func(string, *control.Message)) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*wait)
	defer cancel()
	c, err := control.Dial(v.socket)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var events []string
	if event != "" {
		events = []string{event}
	}
	_, err = c.Stream(ctx, command, events, args, fn)
	return err
}

// Up sets up a child of the connection "site" and waits for it.
func (v vici) Up(child string) error {
	args := &control.Message{}
	args.Set("ike", "site")
	args.Set("child", child)
	args.Set("timeout", fmt.Sprint(wait.Milliseconds()))
	args.Set("loglevel", "1")
	var steps []string
	err := v.stream("initiate", "control-log", args, func(_ string, m *control.Message) { steps = append(steps, m.Get("msg")) })
	if err != nil {
		return fmt.Errorf("%s does not come up: %w: %s", child, err, strings.Join(steps, "; "))
	}
	return nil
}

// Down takes down the whole connection and waits for that.
func (v vici) Down() error { return v.terminate("ike", "site") }

// DownChild takes down a child.
func (v vici) DownChild(child string) error { return v.terminate("child", child) }

func (v vici) terminate(key, name string) error {
	args := &control.Message{}
	args.Set(key, name)
	args.Set("timeout", fmt.Sprint(wait.Milliseconds()))
	return v.stream("terminate", "", args, nil)
}

// Rekey replaces a child's SAs.
func (v vici) Rekey(child string) error {
	args := &control.Message{}
	args.Set("child", child)
	return v.stream("rekey", "", args, nil)
}

// SAs lists the IKE SAs.
func (v vici) SAs() ([]lab.SA, error) {
	var sas []lab.SA
	err := v.stream("list-sas", "list-sa", nil, func(_ string, m *control.Message) {
		for name, s := range m.Sections() {
			sa := lab.SA{Conn: name, Values: values(s)}
			for _, c := range s.Section("child-sas").Sections() {
				sa.Children = append(sa.Children, lab.Child{Values: values(c),
					Lists: map[string][]string{"local-ts": c.List("local-ts"), "remote-ts": c.List("remote-ts")}})
			}
			sas = append(sas, sa)
		}
	})
	return sas, err
}

func values(m *control.Message) map[string]string {
	all := map[string]string{}
	for name, value := range m.Values() {
		all[name] = value
	}
	return all
}

// timed tells how long something took.
func timed(what string, begun time.Time) string {
	return fmt.Sprintf("%s: %.1f s", what, time.Since(begun).Seconds())
}
