package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/ipsec"
	"github.com/goike/goike/conf/swan"
	"github.com/goike/goike/conf/toml"
)

func (a *app) convertCommand() *cobra.Command {
	var o conversion
	c := &cobra.Command{
		Use:   "convert FILE",
		Short: "Turn a swanctl.conf, or an ipsec.conf with its ipsec.secrets, into a goike.toml; needs no daemon",
		Args:  exactly(1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			o.file = args[0]
			return a.convert(o)
		},
	}
	c.Flags().StringVar(&o.secrets, "secrets", "", "the ipsec.secrets of an ipsec.conf (ipsec.secrets beside it)")
	c.Flags().StringVar(&o.local, "local", "", "the address of the host that an ipsec.conf is for (that of this one)")
	c.Flags().StringVar(&o.output, "output", "", "write to this file, which must not be there yet, with mode 0600")
	return c
}

// conversion is what convert is asked for.
type conversion struct{ file, secrets, output, local string }

// own are the addresses by which the side of an ipsec.conf is found that is this host.
func (o conversion) own() ([]netip.Addr, error) {
	if o.local != "" {
		addr, err := netip.ParseAddr(o.local)
		if err != nil {
			return nil, usageError{fmt.Errorf("--local %s is no address", o.local)}
		}
		return []netip.Addr{addr}, nil
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own, nil
}

func (a *app) convert(o conversion) error {
	c, warnings, err := readForeign(o)
	for _, w := range warnings {
		fmt.Fprintf(a.errs, "warning: %s\n", clean(w.String()))
	}
	if err != nil {
		fmt.Fprintln(a.errs, cleanLines(err))
		return silentError{exitUsage}
	}
	notes := []toml.Note{{Text: "converted from " + filepath.Base(o.file)}}
	for _, w := range warnings {
		notes = append(notes, toml.Note{Text: w.String()})
	}
	var b strings.Builder
	if err := toml.Write(&b, c, append(notes, changed(c)...)...); err != nil {
		return err
	}
	if o.output == "" {
		_, err := io.WriteString(a.out, b.String())
		return err
	}
	return writeNew(o.output, b.String())
}

// cleanLines is an error of several lines, each of them clean.
func cleanLines(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

func readForeign(o conversion) (*conf.Config, []conf.Warning, error) {
	if swan.IsTOML(o.file) {
		return nil, nil, errors.New(o.file + " is a goike.toml by its name: nothing to convert")
	}
	is, err := ipsec.Is(o.file)
	switch {
	case err != nil:
		return nil, nil, err
	case is:
		own, err := o.own()
		if err != nil {
			return nil, nil, err
		}
		return ipsec.Load(o.file, o.secrets, own)
	case o.secrets != "":
		return nil, nil, errors.New("--secrets goes with an ipsec.conf: a swanctl.conf has its secrets in itself")
	case o.local != "":
		return nil, nil, errors.New("--local goes with an ipsec.conf: a swanctl.conf says itself which side is local")
	}
	return swan.Load(o.file)
}

// changed says what means something else here than it did there.
func changed(c *conf.Config) []toml.Note {
	var notes []toml.Note
	for _, conn := range c.Connections {
		if len(conn.Gateways) > 1 {
			notes = append(notes, toml.Note{Conn: conn.Name, Text: "all of these are called in turn; strongSwan calls the first one only"})
		}
		if conn.Boldest() == conf.Start && conn.KeyingTries > 0 {
			notes = append(notes, toml.Note{Conn: conn.Name, Text: fmt.Sprintf("given up after %s until there is traffic; keying_tries = 0 never gives up", plural(uint64(conn.KeyingTries), "try"))}) //nolint:gosec // not negative
		}
	}
	return notes
}

// writeNew writes a file with secrets that is not there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
