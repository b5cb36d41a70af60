// Command goikectl looks at goiked and steers it, by VICI. See
// docs/goikectl.8.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// The exit codes.
const (
	exitOK       = 0
	exitFailed   = 1 // what was asked for was not reached
	exitUsage    = 2
	exitNoDaemon = 4 // nobody answers at the socket
)

const defaultSocket = "/run/goike/goiked.vici"

// answerTime is how long the daemon has to answer when no --timeout says so.
const answerTime = 30 * time.Second

// app is one run of the program.
type app struct {
	out, errs io.Writer
	now       func() time.Time
	color     bool
	screen    terminal         // nil: output is none
	ticks     <-chan time.Time // of what is drawn again and again; nil: by the clock

	socket  string
	json    bool
	timeout time.Duration
}

// usageError is an error of the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// silentError ends the program with an exit code; what there is to say was said.
type silentError struct{ code int }

func (e silentError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func exitCode(err error) int {
	var u usageError
	var s silentError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &s):
		return s.code
	case errors.As(err, &u):
		return exitUsage
	case errors.Is(err, control.ErrNoDaemon):
		return exitNoDaemon
	}
	return exitFailed
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	a := &app{out: os.Stdout, errs: os.Stderr, now: time.Now, color: wantsColor(os.Stdout, os.Getenv)}
	if isTerminal(os.Stdout) && os.Getenv("TERM") != "dumb" {
		a.screen = tty{os.Stdin, os.Stdout}
	}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// wantsColor tells whether a file is a terminal, and nobody is against colors.
func wantsColor(f *os.File, getenv func(string) string) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// run is the whole program; it returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.errs)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.As(err, new(silentError)) {
		fmt.Fprintf(a.errs, "goikectl: %s\n", clean(err.Error()))
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "goikectl",
		Short:         "Look at goiked and steer it",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; goikectl --help lists the commands", args[0])}
			}
			return usageError{errors.New("a command is needed; goikectl --help lists the commands")}
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())}
	})
	f := root.PersistentFlags()
	f.StringVar(&a.socket, "socket", defaultSocket, "control socket of the daemon")
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.DurationVar(&a.timeout, "timeout", 0, "how long to wait, such as 20s; up and down wait for the outcome without it, rekey 30 s")
	root.AddCommand(a.statusCommand(), a.upCommand(), a.downCommand(), a.rekeyCommand(), a.redirectCommand(), a.reloadCommand(), a.checkCommand(), a.convertCommand(), a.explainCommand(), a.policiesCommand(), a.countersCommand(), a.logCommand(), a.eventsCommand(), a.topCommand(), a.pcapCommand(), a.versionCommand(), a.genpskCommand(), a.completionCommand())
	return root
}

// exactly is a check for the number of arguments.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s; usage: %s", c.Name(), what, c.UseLine())}
		}
		return nil
	}
}

// atMostOne is a check for the name of a connection, or none.
func atMostOne(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return exactly(1, "at most one connection")(c, args)
	}
	return nil
}

// dial connects to the daemon.
func (a *app) dial() (*control.Client, error) { return control.Dial(a.socket) }

// answerContext bounds how long the daemon has to answer a question.
func (a *app) answerContext(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := a.timeout
	if limit <= 0 {
		limit = answerTime
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer from the daemon at %s within %s", a.socket, limit))
}

// because replaces the error of a context that has ended by its cause.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		if errors.Is(err, context.Canceled) {
			return errors.New("interrupted")
		}
		return context.Cause(ctx)
	}
	return err
}
