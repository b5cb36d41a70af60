package conf

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Error is something wrong in a configuration file: what was found, and what is
// allowed. Its text never holds a secret.
type Error struct {
	File string
	Line int // from 1; 0: the file as a whole
	Col  int // in characters, from 1
	Text string
}

// Error returns "file:line:column: text".
func (e Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return e.File + ":" + strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Col) + ": " + e.Text
}

// Warning is something that works and that the administrator should know, at a
// place as Error names it.
type Warning Error

// String returns "file:line:column: text".
func (w Warning) String() string { return Error(w).Error() }

// Errors is everything wrong in a configuration, in the order of the file.
type Errors []Error

// Error returns one line for each error.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort brings the errors in the order of the file.
func (es Errors) Sort() { slices.SortStableFunc(es, compareErrors) }

func compareErrors(a, b Error) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Text, b.Text))
}

// SortWarnings brings warnings in the order of the file.
func SortWarnings(ws []Warning) {
	slices.SortStableFunc(ws, func(a, b Warning) int { return compareErrors(Error(a), Error(b)) })
}
