package swan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/file"
)

// Limits of what is read.
const (
	maxFile    = 16 << 20 // octets of a file
	maxOctets  = 64 << 20 // of all files
	maxFiles   = 1000     // that are included
	maxDepth   = 10       // of includes, as in strongSwan
	maxNesting = 32       // of sections
	maxName    = 255      // octets of a name, as in a VICI message
	maxParts   = 1_000_000
)

// loader reads a file and what it includes.
type loader struct {
	report
	read     func(path string) ([]byte, fs.FileMode, error)
	glob     func(pattern string) ([]string, error)
	begun    map[*block]int         // line in which a section was begun last
	modes    map[string]fs.FileMode // of the files
	referred map[string]bool        // sections that others inherit from
	checks   []conf.Check
	chain    []string // files that are being read
	files    int
	octets   int
	parts    int // sections, keys and references so far
}

func newLoader() *loader {
	return &loader{
		read: func(path string) ([]byte, fs.FileMode, error) { return file.Read(path, maxFile) }, glob: glob,
		begun: make(map[*block]int), modes: make(map[string]fs.FileMode), referred: make(map[string]bool),
	}
}

// count counts a part, and tells whether there may be more.
func (l *loader) count(at Pos) bool {
	if l.parts++; l.parts > maxParts {
		l.fail(at, "the configuration has more than %d sections, keys and references; allowed: fewer", maxParts)
	}
	return !l.failed()
}

// tree reads a file, its includes and its references.
func (l *loader) tree(path string) *Section {
	data, mode, err := l.read(path)
	if err != nil {
		l.fail(Pos{File: path}, "%v", err)
		return nil
	}
	root := newBlock("", Pos{})
	l.file(path, data, mode, []*block{root}, 0)
	if l.failed() {
		return nil
	}
	return l.resolve(root)
}

func (l *loader) file(path string, data []byte, mode fs.FileMode, into []*block, depth int) {
	defer clear(data)
	l.modes[path] = mode
	l.octets += len(data)
	if l.octets > maxOctets {
		l.fail(Pos{File: path}, "with this file the configuration has more than %d octets; allowed: fewer", maxOctets)
		return
	}
	l.chain = append(l.chain, path)
	l.parse(path, data, into, depth)
	l.chain = l.chain[:len(l.chain)-1]
}

// include reads the files that an include statement names, into the section in which it
// stands. As in strongSwan a file that is not there is no error.
func (p *parser) include(at Pos, depth int) {
	pattern, ok := p.pattern()
	switch {
	case !ok:
		return
	case pattern == "":
		p.fail(p.at(), "include without a file, found %s; allowed: include FILE, with wildcards, in double quotes if there are blanks in it", p.found())
		return
	case depth >= maxDepth:
		p.fail(at, "files included by included files, more than %d deep; allowed: fewer", maxDepth)
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(p.file), pattern)
	}
	paths, err := p.glob(pattern)
	if err != nil {
		p.fail(at, "include %s is no pattern; allowed: a file, with the wildcards * ? [abc]", show(pattern))
		return
	}
	if len(paths) == 0 {
		p.warn(at, "include %s: there is no such file; nothing is read, as in strongSwan", show(pattern))
	}
	for _, path := range paths {
		if p.failed() {
			return
		}
		p.one(path, at, depth)
	}
}

func (p *parser) one(path string, at Pos, depth int) {
	if slices.Contains(p.chain, path) {
		p.fail(at, "include %s includes the file that it stands in, or one that includes that; allowed: each file once", show(path))
		return
	}
	if p.files++; p.files > maxFiles {
		p.fail(at, "more than %d files are included; allowed: fewer", maxFiles)
		return
	}
	data, mode, err := p.read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.warn(at, "include %s: there is no such file; nothing is read, as in strongSwan", show(path))
	case err != nil:
		p.fail(at, "include %s: it %v; allowed: a file that can be read", show(path), err)
	default:
		p.loader.file(path, data, mode, p.open, depth+1)
	}
}

// pattern reads the name of a file: quoted, or to the next blank, where a backslash
// takes the special meaning from what follows it.
func (p *parser) pattern() (string, bool) {
	if p.peek() == '"' {
		return p.quoted()
	}
	var b strings.Builder
	for {
		switch c := p.peek(); c {
		case 0, ' ', '\t', '\r', '\n', '#', '}', '{', '"':
			return b.String(), true
		case '\\':
			p.pos++
			if p.pos < len(p.data) && p.peek() != '\n' {
				b.WriteByte(p.next())
			}
		default:
			b.WriteByte(p.next())
		}
	}
}

// glob finds the files of a pattern as a shell does: in the order of their names, and
// without those whose name begins with a dot unless the pattern says so.
func glob(pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, `*?[`) {
		if _, err := os.Lstat(pattern); err != nil && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return []string{pattern}, nil
	}
	paths, err := filepath.Glob(strings.ReplaceAll(pattern, "[!", "[^"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	return slices.DeleteFunc(paths, func(path string) bool { return hides(pattern, path) }), nil
}

// hides tells whether a wildcard would have to stand for the dot of a hidden file.
func hides(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	for i := range min(len(want), len(have)) {
		if strings.HasPrefix(have[i], ".") && !strings.HasPrefix(want[i], ".") {
			return true
		}
	}
	return false
}
