package swan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// text writes a tree on one line.
func (s *Section) text() string {
	var parts []string
	for _, o := range s.Options {
		parts = append(parts, fmt.Sprintf("%s=%q", o.Name, o.Values[0]))
	}
	for _, sub := range s.Sections {
		parts = append(parts, sub.Name+"{"+sub.text()+"}")
	}
	return strings.Join(parts, " ")
}

// folder writes files into a new directory: name, content, name, content.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What strongSwan 5.9.8 makes of these was looked up with swanctl and a listening socket.
func TestValues(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a = one two   three   # comment", `a="one two three"`},
		{"a=1\nb\n= 2\r\nc =\t3", `a="1" b="2" c="3"`},
		{`a = "a  b" # c`, `a="a  b"`},
		{`a = one "two  2"three`, `a="one two  2 three"`},
		{`a = "q""r"`, `a="q r"`},
		{`a = "\n\t\r\"\\\q"`, `a="\n\t\r\"\\q"`},
		{"a = \"one \\\n  two\\\r\nthree\"", `a="one   twothree"`},
		{"a = \"one\ntwo\"", `a="one\ntwo"`},
		{`a = b\n`, `a="b\\n"`},
		{"a = b#c", `a="b"`},
		{"a =", ""},
		{`a = ""`, `a=""`},
		{"a = x{y\nb = c=d", `a="x{y" b="c=d"`},
		{"a = 'x  y'", `a="'x y'"`},
		{"a = 1\na = 2", `a="2"`},
		{"a = 1\na =", ""},
		{"s { k = 1 } t = 2", `t="2" s{k="1"}`},
		{"s\n{\n}\nt{}", `s{} t{}`},
		{"s { a = 1\n b = 1 }\ns { b = 2\n c = 3 }", `s{a="1" b="2" c="3"}`},
		{"include = 5", `include="5"`},
		{"\xef\xbb\xbfa = 1\n# \xe4\n", `a="1"`},
	} {
		root, _, err := Read(filepath.Join(folder(t, "x.conf", c.text), "x.conf"))
		if err != nil || root.text() != c.want {
			t.Errorf("%q: %v, %v; want %s", c.text, root, err, c.want)
		}
	}
}

func TestReferences(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"own first", "a : d { y = 2\n s { b = 3\n c = 4 } }\nd { x = 1\n s { a = 1\n b = 2 } }", `a{y="2" x="1" s{b="3" c="4" a="1"}} d{x="1" s{a="1" b="2"}}`},
		{"left to right", "a : d, e { }\nd { x = 1 }\ne { x = 2\n y = 2 }", `a{x="1" y="2"} d{x="1"} e{x="2" y="2"}`},
		{"path", "a : d.s { }\nd { s { k = 1 } }", `a{k="1"} d{s{k="1"}}`},
		{"of references", "a : b { }\nb : c { y = 1 }\nc { x = 1 }", `a{y="1" x="1"} b{y="1" x="1"} c{x="1"}`},
		{"circle", "a : b { y = 2 }\nb : a { z = 1 }", `a{y="2" z="1"} b{z="1" y="2"}`},
		{"to what is inherited", "a : d { s { y = 1 }\n t : a.s { } }\nd { s { x = 1 } }", `a{s{y="1" x="1"} t{y="1" x="1"}} d{s{x="1"}}`},
		{"of sections within", "a : d { s : e { y = 1 } }\nd { s { x = 1 } }\ne { q = 1 }", `a{s{y="1" q="1" x="1"}} d{s{x="1"}} e{q="1"}`},
		{"cleared", "a : d { x =\n}\nd { x = 1\n y = 2 }", `a{y="2"} d{x="1" y="2"}`},
		{"repeated", "a : d { y = 1 }\na : e { y = 2 }\nd { x = 1 }\ne { z = 1 }", `a{y="2" x="1" z="1"} d{x="1"} e{z="1"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, ws, err := Read(filepath.Join(folder(t, "x.conf", c.text), "x.conf"))
			if err != nil || len(ws) != 0 || root.text() != c.want {
				t.Errorf("%v, %v, %v; want %s", root, ws, err, c.want)
			}
		})
	}
}

func TestIncludes(t *testing.T) {
	dir := folder(t, "x.conf", "s {\n x = before\n include conf.d/*.conf # all\n include \"conf.d/sp ace\"\n include conf.d/sp\\ ace }\nlast = 1\n",
		"conf.d/2.conf", "x = two\ninclude deep/*.txt\n", "conf.d/1.conf", "x = one\ny = 1", "conf.d/.hidden.conf", "x = hidden\n",
		"conf.d/deep/a.txt", "t { z = 1\n}", "conf.d/sp ace", "blank = yes\n")
	root, ws, err := Read(filepath.Join(dir, "x.conf"))
	if want := `last="1" s{x="two" y="1" blank="yes" t{z="1"}}`; err != nil || len(ws) != 0 || root.text() != want {
		t.Fatalf("%v, %v, %v; want %s", root, ws, err, want)
	}
	z := root.Section("s").Section("t").Option("z")
	if want := (Pos{filepath.Join(dir, "conf.d/deep/a.txt"), 1, 5}); z.At != want {
		t.Errorf("z is at %v; want %v", z.At, want)
	}
}

// What strongSwan passes over in silence is a warning.
func TestTreeWarnings(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"id = @#12", "x.conf:1:7: the # ends the value of id"},
		{"\ninclude none/*.conf", "x.conf:2:1: include "},
		{"include none.conf", "there is no such file"},
		{"a : b.c { }", "x.conf:1:5: section a refers to b.c, which is nowhere"},
	} {
		_, ws, err := Read(filepath.Join(folder(t, "x.conf", c.text), "x.conf"))
		if err != nil || len(ws) != 1 || !strings.Contains(ws[0].String(), c.want) {
			t.Errorf("%q: %v, %v; want %q", c.text, ws, err, c.want)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	many := strings.Repeat("s {\n", maxNesting+1)
	for _, c := range []struct{ text, want string }{
		{"a 1", "x.conf:1:3: found another word behind a name; allowed: = and a value"},
		{"\n  = 1", "x.conf:2:3: found '=' where a key or a section begins"},
		{"a.b = 1", "x.conf:1:2: found a . behind a name"},
		{"a : b = 1", "x.conf:1:7: found a = behind the references"},
		{"a : . { }", "x.conf:1:5: found a . where a section to inherit from is named"},
		{"a : b c { }", "x.conf:1:7: found another word behind the references"},
		{`"a" = 1`, `x.conf:1:1: found '"' where`},
		{"s {\n a = 1", "x.conf:2:7: the file ends, but section s, begun in line 1, is not closed"},
		{"s { } }", "x.conf:1:7: a } that closes no section of this file"},
		{"a = \"b\nc", `x.conf:1:5: a " that no other " closes`},
		{`a = "b\`, `a " that no other " closes`},
		{"include", "found the end of the file behind a name"},
		{"include # c", "x.conf:1:9: include without a file, found a #"},
		{"include x.conf", "x.conf:1:1: include "},
		{"include [", "is no pattern"},
		{"include .", "is a directory"},
		{"include bad.conf\n", "bad.conf:1:1: a } that closes no section of this file"},
		{"a = b\x00c", "x.conf:1:1: the file has a NUL octet"},
		{many, "more than 32 deep"},
		{strings.Repeat("n", maxName+1) + " = 1", "a name of 256 octets"},
		{"a { b : a { } }", "holds sections within sections"},
	} {
		dir := folder(t, "x.conf", c.text, "bad.conf", "} s {\n")
		root, _, err := Read(filepath.Join(dir, "x.conf"))
		if root != nil || err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") != 0 {
			t.Errorf("%q: %v, %v; want %q", c.text, root, err, c.want)
		}
	}
	if _, _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

// References that double with each step are given up, and in no time.
func TestMultiplying(t *testing.T) {
	var s strings.Builder
	s.WriteString("s0 { k = 1 }\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&s, "s%d { a : s%d { }\n b : s%d { } }\n", i, i-1, i-1)
	}
	_, _, err := Read(filepath.Join(folder(t, "x.conf", s.String()), "x.conf"))
	if err == nil || !strings.Contains(err.Error(), "references to references multiply the configuration") {
		t.Error(err)
	}
}

func TestIncludeDepth(t *testing.T) {
	var files []string
	for i := range maxDepth + 2 {
		files = append(files, fmt.Sprintf("%d.conf", i), fmt.Sprintf("include %d.conf\n", i+1))
	}
	_, _, err := Read(filepath.Join(folder(t, files...), "0.conf"))
	if err == nil || !strings.Contains(err.Error(), "10.conf:1:1: files included by included files, more than 10 deep") {
		t.Error(err)
	}
}
