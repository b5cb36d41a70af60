package main

import (
	"fmt"
	"io"
	"strings"
)

// style is a color on the terminal.
type style string

const (
	plain  style = ""
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// cell is text of a table, not yet clean.
type cell struct {
	text  string
	style style
}

func cells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i] = cell{text: t}
	}
	return row
}

// printer writes lines, colored or not.
type printer struct {
	w     io.Writer
	color bool
}

func (p printer) styled(text string, s style) string {
	if !p.color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// line writes one line of clean text.
func (p printer) line(text string, s style) {
	fmt.Fprintln(p.w, p.styled(clean(text), s))
}

// table writes rows with their columns aligned. An empty cell at the end of a row
// takes no room.
func (p printer) table(indent string, rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(clean(c.text)))
		}
	}
	for _, row := range rows {
		for len(row) > 0 && row[len(row)-1].text == "" {
			row = row[:len(row)-1]
		}
		var b strings.Builder
		b.WriteString(indent)
		for i, c := range row {
			text := clean(c.text)
			b.WriteString(p.styled(text, c.style))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-width(text)+2))
			}
		}
		fmt.Fprintln(p.w, b.String())
	}
}
