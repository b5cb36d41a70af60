//go:build linux

package kernel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// state is an SA as `ip -s xfrm state` shows it, without the keys.
type state struct {
	src, dst, proto, mode string
	spi, reqid            uint32
	fields                map[string]string // all else that was configured, by its word
	bytes, packets        uint64
	failed                string // counters of failures
}

// policy is a policy as `ip xfrm policy list nosock` shows it.
type policy struct {
	selector string
	dir      string
	priority uint64
	fields   map[string]string // action, mark, if_id, level ...
	tmpls    []tmpl
}

// tmpl is what a policy says of the SA that is to be used.
type tmpl struct {
	src, dst, proto, mode string
	spi, reqid            uint32
	level                 string
}

// states lists the SAs of a namespace, without the kernel's own notes of packets that have
// found none: those have no SPI, and stay for half a minute.
func states(t *testing.T, at *lab.Namespace) []state {
	t.Helper()
	s, err := parseStates(run(t, at, "ip", "-s", "xfrm", "state"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(s, func(st state) bool { return st.spi == 0 })
}

// policies lists the policies of a namespace, but those of sockets.
func policies(t *testing.T, at *lab.Namespace) []policy {
	t.Helper()
	p, err := parsePolicies(run(t, at, "ip", "xfrm", "policy", "list", "nosock"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// entries cuts the output of ip at the lines that are not indented.
func entries(text string) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if line == "" {
			continue
		}
		if line[0] != '\t' && line[0] != ' ' {
			all = append(all, nil)
		}
		if len(all) > 0 {
			all[len(all)-1] = append(all[len(all)-1], line)
		}
	}
	return all
}

func parseStates(text string) (all []state, err error) {
	for _, e := range entries(text) {
		s := state{fields: map[string]string{}}
		section := ""
		for i, line := range e {
			words := strings.Fields(line)
			switch {
			case strings.HasSuffix(line, ":"):
				section = strings.TrimSpace(line)
				continue
			case section != "" && strings.HasPrefix(line, "\t "):
				s.section(section, words)
				continue
			}
			section = ""
			if err := s.line(i, words); err != nil {
				return nil, fmt.Errorf("%w in %q", err, line)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// line takes what was configured.
func (s *state) line(i int, words []string) (err error) {
	switch {
	case i == 0:
		s.src, s.dst = after(words, "src"), after(words, "dst")
	case words[0] == "proto":
		s.proto, s.mode = words[1], after(words, "mode")
		if s.spi, err = number(after(words, "spi")); err == nil {
			s.reqid, err = number(after(words, "reqid"))
		}
	case words[0] == "replay-window":
		s.fields["window"] = words[1]
		s.fields["flags"] = flags(words)
	case words[0] == "anti-replay": // counts
	case slices.Contains([]string{"aead", "auth", "auth-trunc", "enc", "comp"}, words[0]):
		s.fields[words[0]] = algorithm(words[1:])
	case words[0] == "encap":
		s.fields["encap"] = strings.Join(words[1:], " ")
	case words[0] == "sel":
		s.fields["sel"] = strings.TrimRight(strings.Join(words[1:], " "), " ")
	default:
		s.fields[words[0]] = strings.Join(words[1:], " ") // mark, output-mark, if_id, tfcpad, lastused
	}
	return err
}

// flags are the words behind "flag" without the number.
func flags(words []string) string {
	i := slices.Index(words, "flag")
	if i < 0 {
		return ""
	}
	out := slices.DeleteFunc(slices.Clone(words[i+1:]), func(w string) bool { return strings.HasPrefix(w, "(") })
	slices.Sort(out)
	return strings.Join(out, " ")
}

// algorithm leaves the key out of "rfc4106(gcm(aes)) 0x... (288 bits) 128".
func algorithm(words []string) string {
	name, _, _ := strings.Cut(strings.Join(words, " "), " ")
	bits, icv := "", ""
	for i, w := range words {
		if strings.HasPrefix(w, "(") && i+1 < len(words) && strings.HasPrefix(words[i+1], "bits") {
			bits = " key " + w[1:]
			if i+2 < len(words) {
				icv = " icv " + words[i+2]
			}
		}
	}
	return name + bits + icv
}

// section takes a line of limits and counters.
func (s *state) section(section string, words []string) {
	line := strings.Join(words, " ")
	switch section {
	case "anti-replay esn context:":
		if window, ok := strings.CutPrefix(words[0], "replay_window"); ok && window == "" && len(words) > 1 {
			s.fields["window"] = strings.TrimSuffix(words[1], ",")
		}
	case "lifetime config:":
		key, value, _ := strings.Cut(line, ":")
		if key == "limit" {
			key = "limit bytes"
			if strings.Contains(value, "(packets)") {
				key = "limit packets"
			}
		}
		s.fields[key] = strings.TrimSpace(value)
	case "lifetime current:":
		if strings.Contains(line, "(packets)") {
			_, _ = fmt.Sscanf(line, "%d(bytes), %d(packets)", &s.bytes, &s.packets)
		}
	case "stats:":
		s.failed = line
	}
}

func parsePolicies(text string) (all []policy, err error) {
	for _, e := range entries(text) {
		p := policy{selector: strings.Join(strings.Fields(e[0]), " "), fields: map[string]string{}}
		for _, line := range e[1:] {
			if err := p.line(strings.Fields(line)); err != nil {
				return nil, fmt.Errorf("%w in %q", err, line)
			}
		}
		all = append(all, p)
	}
	return all, nil
}

func (p *policy) line(words []string) (err error) {
	switch words[0] {
	case "dir":
		p.dir = words[1]
		if p.priority, err = strconv.ParseUint(after(words, "priority"), 10, 32); err != nil {
			return err
		}
		for i := 2; i+1 < len(words); i += 2 {
			if w := words[i]; w != "priority" && w != "ptype" && w != "index" {
				p.fields[w] = words[i+1]
			}
		}
	case "tmpl":
		p.tmpls = append(p.tmpls, tmpl{src: after(words, "src"), dst: after(words, "dst")})
	case "proto":
		last := &p.tmpls[len(p.tmpls)-1]
		last.proto, last.mode = words[1], after(words, "mode")
		if spi := after(words, "spi"); spi != "" {
			if last.spi, err = number(spi); err != nil {
				return err
			}
		}
		last.reqid, err = number(after(words, "reqid"))
	case "level":
		p.tmpls[len(p.tmpls)-1].level = words[1]
	default: // mark, if_id
		p.fields[words[0]] = strings.Join(words[1:], " ")
	}
	return err
}

// after is the word behind a word.
func after(words []string, word string) string {
	if i := slices.Index(words, word); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// number reads "0x10(16)", "16(0x10)", "0x10" or "16".
func number(s string) (uint32, error) {
	s, _, _ = strings.Cut(s, "(")
	n, err := strconv.ParseUint(s, 0, 32)
	return uint32(n), err
}

// find returns the SA with an SPI.
func find(all []state, spi uint32) (state, bool) {
	i := slices.IndexFunc(all, func(s state) bool { return s.spi == spi })
	if i < 0 {
		return state{}, false
	}
	return all[i], true
}
