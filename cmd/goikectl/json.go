package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// schema is the version of what --json prints. It goes up when a name goes or means
// something else; names may be added.
const schema = 1

// versioned is what each object begins with that --json prints.
type versioned struct {
	Schema int `json:"schema"`
}

var current = versioned{schema}

// printJSON writes a value in JSON, indented or as one line. What a terminal may
// take for a command is escaped.
func printJSON(w io.Writer, v any, indent bool) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if indent {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escaped(b.String()))
	return err
}

// escaped writes unsafe characters of JSON, which stand in strings only, as escapes.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || !unsafeRune(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
