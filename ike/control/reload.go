package control

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/goike/goike/conf"
)

// Reloaded is what came of a reload. No text of it holds a secret.
type Reloaded struct {
	Err      error    // why nothing was changed, in one line; nil: it was, or would be
	Errors   []string // all of it, "file:line:column: text" where it is about a file
	Warnings []string // of the same form where they are about a file
	Settings []string // of the daemon that are different
	Plan     conf.Plan
}

// ErrNoFile says that there is no configuration to read again.
var ErrNoFile = errors.New("nothing to reload: goiked was started with --config none")

// reloadRoom is how many octets of an answer the lists may take: packets are bounded.
const reloadRoom = 400_000

// reload reads the configuration again; with dry-run = yes it only tells what that would
// do.
func reload(ctx context.Context, l Loader, args *Message) *Message {
	dry, err := yesNo(args, "dry-run")
	if err != nil {
		return failure(err)
	}
	r := l.Reload(ctx, dry)
	m := success()
	if r.Err != nil {
		m = failure(r.Err)
	}
	room := reloadRoom
	omitted := setSome(m, "errors", r.Errors, &room)
	omitted += setSome(m, "warnings", r.Warnings, &room)
	m.SetList("settings", r.Settings...)
	omitted += addPlan(m.AddSection("plan"), r.Plan, &room)
	if omitted > 0 {
		setInt(m, "omitted", omitted)
	}
	return m
}

// reloadSettings is the same in the words of VICI: the first error stands for all.
func reloadSettings(ctx context.Context, l Loader, _ *Message) *Message {
	r := l.Reload(ctx, false)
	if errors.Is(r.Err, ErrNoFile) {
		return success() // the settings of no file are as they were
	}
	if r.Err != nil && len(r.Errors) > 0 {
		return failure(errors.New(r.Errors[0]))
	}
	return outcome(r.Err)
}

// setSome sets as much of a list as there is room for, and returns how much is left out.
func setSome(m *Message, name string, list []string, room *int) (omitted int) {
	for i, text := range list {
		if *room -= len(text) + 4; *room < 0 {
			m.SetList(name, list[:i]...)
			return len(list) - i
		}
	}
	m.SetList(name, list...)
	return 0
}

// addPlan adds the verdict on each connection. When there is no room for all, those that
// are unchanged are left out first.
func addPlan(m *Message, plan conf.Plan, room *int) (omitted int) {
	size := func(c conf.Change) int { return len(c.String()) + 64 + 4*len(c.Keys) }
	all := 0
	for _, c := range plan {
		all += size(c)
	}
	brief := all > *room
	for _, c := range plan {
		if brief && c.Verdict == conf.Unchanged || *room < size(c) {
			omitted++
			continue
		}
		*room -= size(c)
		sec := m.AddSection(c.Name)
		sec.Set("verdict", c.Verdict.String())
		sec.SetList("reasons", c.Keys...)
	}
	return omitted
}

// yesNo reads an argument that is yes or no; absent it is no.
func yesNo(args *Message, name string) (bool, error) {
	switch v := args.Get(name); v {
	case "yes":
		return true, nil
	case "no", "":
		return false, nil
	default:
		return false, fmt.Errorf("%s = %s: allowed: yes, no", name, strconv.Quote(v))
	}
}
