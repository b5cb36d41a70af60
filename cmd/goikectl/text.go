package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// clean makes text from elsewhere safe for a terminal: whatever is no printable
// character or space is written as an escape.
func clean(s string) string {
	if strings.IndexFunc(s, unsafeRune) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !unsafeRune(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// unsafeRune tells what a terminal may take for a command, or what changes the
// order or hides the text that is read: controls and format characters.
func unsafeRune(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }

// width is the number of columns that clean text takes on a terminal.
func width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case wide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wideRanges are the characters of two columns: those of East Asian scripts in
// full width, and pictures (Unicode Standard Annex 11).
var wideRanges = [...][2]rune{
	{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xa000, 0xa4cf},
	{0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6},
	{0x1b000, 0x1b2ff}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
}

func wide(r rune) bool {
	for _, w := range wideRanges {
		if r >= w[0] && r <= w[1] {
			return true
		}
	}
	return false
}

// span writes seconds in at most two units: "12 s", "3 min 5 s", "2 h 51 min".
func span(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size && u.name != "s" {
			continue
		}
		text := fmt.Sprintf("%d %s", d/u.size, u.name)
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return ""
}

// in writes when something will be, "" if never.
func in(what string, seconds *int64) string {
	if seconds == nil {
		return ""
	}
	return joined(" ", what, "in", span(*seconds))
}

// since writes for how long something has been, "" if it is not.
func since(seconds *int64) string {
	if seconds == nil {
		return ""
	}
	return span(*seconds)
}

// ago writes when something was, "" if never.
func ago(seconds *int64) string {
	if seconds == nil {
		return ""
	}
	return span(*seconds) + " ago"
}

// octets writes a number of octets: exactly while that is short.
func octets(n uint64) string {
	if n < 10000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	f := float64(n)
	unit := ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB"} {
		if f /= 1000; f < 999.95 {
			break
		}
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, ok := strings.CutSuffix(what, "y"); ok {
		what = stem + "ie"
	}
	return strconv.FormatUint(n, 10) + " " + what + "s"
}

// joined joins what is not empty.
func joined(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}
