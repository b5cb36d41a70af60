package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// target is what up and down are about: a connection, or one of its children.
type target struct{ conn, child string }

func parseTarget(arg string) (target, error) {
	conn, child, both := strings.Cut(arg, "/")
	if conn == "" || both && child == "" {
		return target{}, usageError{fmt.Errorf("%q is neither NAME nor NAME/CHILD", arg)}
	}
	return target{conn, child}, nil
}

func (t target) String() string {
	if t.child == "" {
		return t.conn
	}
	return t.conn + "/" + t.child
}

// known tells whether the target is configured.
func (t target) known(c *control.ConnStatus) bool {
	if c == nil {
		return false
	}
	for _, child := range c.Children {
		if child.Name == t.child {
			return true
		}
	}
	return t.child == ""
}

// up tells whether the target is up: the child, all children, or, where there are
// none, the IKE SA.
func (t target) up(c *control.ConnStatus) bool {
	if !t.known(c) {
		return false
	}
	if len(c.Children) == 0 {
		return len(established(c)) > 0
	}
	have := make(map[string]bool)
	for _, sa := range established(c) {
		for _, child := range sa.Children {
			have[child.Name] = have[child.Name] || child.State == "installed" || child.State == "rekeying"
		}
	}
	for _, child := range c.Children {
		if (t.child == "" || t.child == child.Name) && !have[child.Name] {
			return false
		}
	}
	return true
}

func established(c *control.ConnStatus) []control.SAStatus {
	var out []control.SAStatus
	for _, sa := range c.SAs {
		if sa.State == "established" || sa.State == "rekeying" {
			out = append(out, sa)
		}
	}
	return out
}

func (a *app) upCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "up NAME[/CHILD]",
		Short: "Set up a connection or one of its children, and wait for the outcome",
		Args:  exactly(1, "one connection, or one child of it"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.steer(c.Context(), args[0], steering{command: "initiate", state: "up", is: target.up})
		},
		ValidArgsFunction: a.completeTargets,
	}
}

func (a *app) downCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "down NAME[/CHILD]",
		Short: "Take a connection or one of its children down, and wait for the outcome",
		Args:  exactly(1, "one connection, or one child of it"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.steer(c.Context(), args[0], steering{command: "terminate", state: "down", force: force, is: target.known, idle: true})
		},
		ValidArgsFunction: a.completeTargets,
	}
	c.Flags().BoolVar(&force, "force", false, "do not wait for the peer's answer")
	return c
}

// steering is what up and down do not have in common.
type steering struct {
	command, state string
	force          bool
	// is tells of the connection before whether the state is one that is reached
	// without doing anything: for sure, or (idle) when the daemon has nothing to do.
	is   func(target, *control.ConnStatus) bool
	idle bool
}

// outcome is the last line of up, down and rekey in JSON.
type outcome struct {
	versioned
	Name    string `json:"name"`
	State   string `json:"state"`
	Reached bool   `json:"reached"`
	Already bool   `json:"already"`
	Error   string `json:"error"`
}

// steer runs up or down.
func (a *app) steer(ctx context.Context, arg string, st steering) error {
	t, err := parseTarget(arg)
	if err != nil {
		return err
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	before, err := a.overview(ctx, c, t.conn)
	if err != nil {
		return err
	}
	was := st.is(t, before.Conn(t.conn))
	m, err := a.command(ctx, c, t, st)
	o := outcome{Name: t.String(), State: st.state, Reached: err == nil, Already: was && !st.idle}
	if st.idle && was && isCommandError(err) && m.Get("matches") == "0" {
		o.Reached, o.Already, err = true, true, nil
	}
	return a.tell(o, err)
}

// command sends initiate or terminate and prints its steps.
func (a *app) command(ctx context.Context, c *control.Client, t target, st steering) (*control.Message, error) {
	args := &control.Message{}
	args.Set("ike", t.conn)
	if t.child != "" {
		args.Set("child", t.child)
	}
	if st.force {
		args.Set("force", "yes")
	}
	if a.timeout > 0 {
		args.Set("timeout", strconv.FormatInt(max(a.timeout.Milliseconds(), 1), 10))
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.timeout+answerTime, errors.New("no answer from the daemon"))
		defer cancel()
	}
	m, err := c.Stream(ctx, st.command, []string{"control-log"}, args, func(_ string, m *control.Message) { a.step(m) })
	if errors.Is(err, context.Canceled) {
		return nil, errors.New("interrupted; the daemon goes on by itself")
	}
	return m, because(ctx, err)
}

func isCommandError(err error) bool {
	var e *control.CommandError
	return errors.As(err, &e)
}

// tell prints the outcome; an error becomes one that says what was not reached.
func (a *app) tell(o outcome, err error) error {
	o.versioned = current
	if err != nil {
		o.Error = err.Error()
		err = fmt.Errorf("%s is not %s: %w", o.Name, o.State, err)
	}
	switch {
	case a.json:
		return errors.Join(err, printJSON(a.out, o, false))
	case err != nil:
	case o.Already:
		fmt.Fprintf(a.out, "%s is already %s\n", clean(o.Name), o.State)
	default:
		fmt.Fprintf(a.out, "%s is %s\n", clean(o.Name), o.State)
	}
	return err
}

// logLine is a line of the log in JSON.
type logLine struct {
	versioned
	Event string     `json:"event,omitempty"`
	Time  *time.Time `json:"time,omitempty"`
	Group string     `json:"group"`
	Level int        `json:"level"`
	Conn  string     `json:"connection"`
	ID    uint64     `json:"uniqueid"`
	Text  string     `json:"text"`
}

func readLogLine(m *control.Message) logLine {
	l := logLine{versioned: current, Group: m.Get("group"), Conn: m.Get("ikesa-name"), Text: m.Get("msg")}
	l.Level, _ = strconv.Atoi(m.Get("level"))
	l.ID, _ = strconv.ParseUint(m.Get("ikesa-uniqueid"), 10, 64)
	return l
}

// step prints a step of a negotiation.
func (a *app) step(m *control.Message) {
	l := readLogLine(m)
	if a.json {
		_ = printJSON(a.out, l, false) // the outcome reports an output that is gone
		return
	}
	fmt.Fprintln(a.out, clean(l.String()))
}

func (l logLine) String() string { return "[" + l.Group + "] " + l.Text }
