package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// captured is what pcap prints in JSON.
type captured struct {
	versioned
	File     string `json:"file"`
	Keys     string `json:"keys"` // the directory, "" without --decrypt
	Messages int    `json:"messages"`
	Lost     uint64 `json:"lost"`
}

func (a *app) pcapCommand() *cobra.Command {
	var r recording
	c := &cobra.Command{
		Use:   "pcap FILE [NAME] [--decrypt] [--count N]",
		Short: "Record IKE messages for Wireshark, of all connections or of one, until Ctrl-C",
		Long: `Records the IKE messages that are sent and received as pcapng into FILE, which must not exist
yet, until Ctrl-C, --count or --timeout. With NAME: those of that connection, and those of
which it is not known yet to which they belong.

--decrypt tells the keys of all these IKE SAs, and of the tunnels that are set up or replaced
meanwhile, to files in the directory FILE.keys. Whoever has them can read what was sent and, as
long as the SAs live, forge it. Only root can ask for them, and goiked logs it.
  WIRESHARK_CONFIG_DIR=FILE.keys wireshark FILE`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 || args[0] == "" {
				return usageError{fmt.Errorf("pcap takes a file, and at most one connection; usage: %s", c.UseLine())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			r.file, r.request.Conn = args[0], strings.Join(args[1:], "")
			return a.pcap(c, r)
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return a.completeConns(c, args[1:], start)
		},
	}
	c.Flags().BoolVar(&r.request.Keys, "decrypt", false, "write the keys down, too")
	c.Flags().IntVar(&r.count, "count", 0, "end after N messages")
	return c
}

// recording is what is to be recorded, and where.
type recording struct {
	request control.CaptureRequest
	file    string
	count   int // 0: no limit
}

var errEnough = errors.New("enough")

func (a *app) pcap(cmd *cobra.Command, r recording) (err error) {
	if r.count < 0 {
		return usageError{fmt.Errorf("--count is %d; allowed: a number of messages, or 0 for no limit", r.count)}
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	out := captured{File: r.file}
	f, err := newCaptureFile(r.file)
	if err != nil {
		return err
	}
	var keys *keyFiles
	if r.request.Keys {
		out.Keys = r.file + ".keys"
		if keys, err = newKeyFiles(out.Keys); err != nil {
			return errors.Join(err, f.close(), os.Remove(r.file))
		}
	}
	defer func() { err = errors.Join(err, f.close(), keys.close()) }()
	ctx := cmd.Context()
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	begun := false
	out.Lost, err = c.Capture(ctx, r.request, func() { begun = true; a.recording(r) }, func(x control.Captured) error {
		if x.Message == nil {
			return keys.add(x)
		}
		out.Messages++
		if err := f.add(*x.Message); err != nil {
			return err
		}
		if out.Messages == r.count {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if !begun {
		if err == nil {
			err = fmt.Errorf("nothing was recorded: %w before the daemon had begun", ctx.Err())
		}
		return errors.Join(err, os.Remove(r.file), keys.remove())
	}
	return errors.Join(err, a.recorded(out, keys))
}

// recording says that it has begun.
func (a *app) recording(r recording) {
	if a.json {
		return
	}
	text := "recording IKE messages in " + r.file
	if r.request.Keys {
		text += ", and keys in " + r.file + ".keys"
	}
	fmt.Fprintln(a.errs, text)
}

// recorded says what was recorded.
func (a *app) recorded(out captured, keys *keyFiles) error {
	if a.json {
		out.versioned = current
		return printJSON(a.out, out, true)
	}
	text := plural(count(int64(out.Messages)), "message") + " in " + out.File
	if out.Keys != "" {
		text += fmt.Sprintf(", the keys of %s and %s in %s", plural(count(int64(keys.ike)), "IKE SA"), plural(count(int64(keys.children)), "child SA"), out.Keys)
	}
	if _, err := fmt.Fprintln(a.out, text); err != nil {
		return err
	}
	if out.Lost > 0 {
		fmt.Fprintf(a.errs, "%s lost: they came faster than they could be written\n", plural(out.Lost, "message"))
	}
	for _, what := range keys.left() {
		fmt.Fprintf(a.errs, "the keys of %s are left out: Wireshark cannot decrypt %s\n", what[0], what[1])
	}
	return nil
}
