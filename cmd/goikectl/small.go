package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/internal/version"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of goikectl and of the daemon",
		Args:  exactly(0, "no arguments"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.version(c.Context()) },
	}
}

// versions is what version prints in JSON.
type versions struct {
	versioned
	Goikectl string `json:"goikectl"`
	Daemon   string `json:"daemon"`
	Version  string `json:"version"`
	System   string `json:"sysname"`
	Release  string `json:"release"`
	Machine  string `json:"machine"`
}

func (a *app) version(ctx context.Context) error {
	if !a.json {
		fmt.Fprintf(a.out, "goikectl %s\n", version.Version)
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := a.answerContext(ctx)
	defer cancel()
	m, err := c.Call(ctx, "version", nil)
	if err != nil {
		return because(ctx, err)
	}
	v := versions{current, version.Version, m.Get("daemon"), m.Get("version"), m.Get("sysname"), m.Get("release"), m.Get("machine")}
	if a.json {
		return printJSON(a.out, v, true)
	}
	fmt.Fprintln(a.out, clean(fmt.Sprintf("%s %s (%s)", v.Daemon, v.Version, joined(", ", v.System, v.Release, v.Machine))))
	return nil
}

// The bounds of a generated key in bits. RFC 2409 and RFC 7296 set none; less than
// 128 bits can be guessed.
const (
	minBits = 128
	maxBits = 4096
)

// generated is what genpsk prints in JSON.
type generated struct {
	versioned
	PSK string `json:"pre_shared_key"`
}

func (a *app) genpskCommand() *cobra.Command {
	bits := 256
	c := &cobra.Command{
		Use:   "genpsk",
		Short: "Print a random pre-shared key",
		Args:  exactly(0, "no arguments"),
		RunE:  func(*cobra.Command, []string) error { return a.genpsk(bits) },
	}
	c.Flags().IntVar(&bits, "bits", bits, "its strength")
	return c
}

func (a *app) genpsk(bits int) error {
	if bits < minBits || bits > maxBits || bits%8 != 0 {
		return usageError{fmt.Errorf("--bits %d: %d to %d are possible, in steps of 8", bits, minBits, maxBits)}
	}
	key := make([]byte, bits/8)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	text := "0s" + base64.StdEncoding.EncodeToString(key)
	if a.json {
		return printJSON(a.out, generated{current, text}, true)
	}
	_, err := fmt.Fprintln(a.out, text)
	return err
}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "Print the completion script of a shell",
		Args:      exactly(1, "the name of a shell: bash, zsh or fish"),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return c.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return c.Root().GenZshCompletion(a.out)
			case "fish":
				return c.Root().GenFishCompletion(a.out, true)
			}
			return usageError{fmt.Errorf("no completion for %q: bash, zsh and fish are possible", args[0])}
		},
	}
}

// completionTime is how long the daemon has to answer while a shell waits for it.
const completionTime = time.Second

// completeConns completes the name of a connection, completeTargets also its
// children. Without a daemon, or with one that does not answer, there are none.
func (a *app) completeConns(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(c, args, false)
}

func (a *app) completeTargets(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(c, args, true)
}

func (a *app) complete(c *cobra.Command, args []string, children bool) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	client, err := a.dial()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(c.Context(), completionTime)
	defer cancel()
	o, err := a.overview(ctx, client, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, conn := range o.Connections {
		names = append(names, clean(conn.Name))
		for _, child := range conn.Children {
			if children {
				names = append(names, clean(strings.Join([]string{conn.Name, child.Name}, "/")))
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
