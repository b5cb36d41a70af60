package toml

import (
	"fmt"
	"strings"
	"testing"

	library "github.com/pelletier/go-toml/v2"

	"github.com/goike/goike/conf"
)

// twice are documents about what TOML lets be defined again, and what not. The
// library's decoder is the judge.
var twice = []string{
	"a = 1\na = 2", "a = 1\nb = 2", "[a]\n[a]", "[a]\n[b]\n[a]", "[a.b]\n[a]", "[a]\n[a.b]", "[a.b]\n[a]\n[a]",
	"[[a]]\n[[a]]", "[[a]]\n[a]", "[a]\n[[a]]", "[a.b]\n[[a]]", "[[a]]\n[a.b]\n[[a]]\n[a.b]", "[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[[a.b]]",
	"[[a]]\n[a.b]\n[a.b]", "[[a]]\n[[a.b]]\n[a.b]", "a = []\n[[a]]", "a = [{}]\n[[a]]", "a = {}\n[a]", "a = {}\n[a.b]", "a = { b = 1 }\na.c = 2",
	"a.b = 1\na.c = 2", "a.b = 1\na.b = 2", "a.b = 1\na = 2", "a = 1\na.b = 2", "a.b = 1\n[a]", "a.b = 1\n[a.c]", "a.b.c = 1\n[a.b]", "a.b.c = 1\n[a.d]\n[a.d]",
	"[a]\nb.c = 1\n[a.b]", "[a]\nb.c = 1\n[a.b.d]", "[a]\nb.c = 1\nb.d = 2", "[a.b.c]\n[a]\nb.d = 1", "[a.b]\nc = 1\n[a]\nb.d = 1", "[a.b]\n[a]\nb = 1",
	"a = { b = 1, b = 2 }", "a = { b.c = 1, b.d = 2 }", "a = { b.c = 1, b = 2 }", "a = { b = {}, b.c = 1 }", "a = [{ b = 1, b = 2 }]", "a = [[{ b.c = 1, b.c = 2 }]]",
	"\"a\" = 1\na = 2", "'' = 1\n\"\" = 2", "[a]\nx = 1\n[a.x]", "[a]\nx = 1\n[a.x.y]", "[a]\nx = 1\n[[a.x]]", "a = 1\n[[a.b]]",
}

func trees(text string) (ours conf.Errors, ok bool, theirs error) {
	data := []byte(text)
	r := &report{file: "f", lines: newLines(data)}
	_, ok = build(data, r)
	var into map[string]any
	return r.errs, ok && len(r.errs) == 0, library.Unmarshal(data, &into)
}

func TestDefinedTwice(t *testing.T) {
	for _, text := range twice {
		ours, ok, theirs := trees(text)
		if ok != (theirs == nil) {
			t.Errorf("%q: %v, the library: %v", text, ours, theirs)
		}
		if !ok && (len(ours) != 1 || !strings.Contains(ours[0].Text, "is defined a second time, first in line ") || !strings.Contains(ours[0].Text, "allowed: once")) {
			t.Errorf("%q: %v", text, ours)
		}
	}
}

func TestDefinedTwiceWhere(t *testing.T) {
	text, at := places("[log]\nlevel = \"info\"\n\n[[phase1]]\n[¦log]\n[[phase1]]\nname = \"x\"\n  ¦name = \"y\"\n  ¦name.z = 1\n")
	ours, _, _ := trees(text)
	if len(ours) != 3 {
		t.Fatal(ours)
	}
	for i, line := range []int{1, 7, 7} {
		if got := fmt.Sprintf("%d:%d", ours[i].Line, ours[i].Col); got != at[i] || !strings.Contains(ours[i].Text, fmt.Sprintf("first in line %d;", line)) {
			t.Errorf("%v, want %s", ours[i], at[i])
		}
	}
}

// The tree refuses what the library refuses, except for what the library only finds
// when it converts values.
func FuzzTree(f *testing.F) {
	for _, text := range twice {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ours, ok, theirs := trees(text)
		if ok == (theirs == nil) || strings.Contains(fmt.Sprint(ours), "goike.toml(5)") {
			return
		}
		if ok && !strings.Contains(theirs.Error(), "already") && !strings.Contains(theirs.Error(), "should be") {
			return
		}
		t.Errorf("%q: %v, the library: %v", text, ours, theirs)
	})
}
