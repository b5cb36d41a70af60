package toml

import (
	"bytes"
	"sort"
	"unicode/utf8"
)

// lines finds lines and columns.
type lines struct {
	data   []byte
	starts []int // offset of each line
}

func newLines(data []byte) *lines {
	l := &lines{data: data, starts: []int{0}}
	for at := 0; ; {
		i := bytes.IndexByte(data[at:], '\n')
		if i < 0 {
			return l
		}
		at += i + 1
		l.starts = append(l.starts, at)
	}
}

// position returns the line and the column, in characters, of an offset.
func (l *lines) position(offset int) (line, col int) {
	offset = min(max(offset, 0), len(l.data))
	line = sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > offset })
	return line, utf8.RuneCount(l.data[l.starts[line-1]:offset]) + 1
}
