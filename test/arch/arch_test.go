// Package arch asserts the rules of docs/design.md that the compiler does not:
// which package may import which, and what the core must not do.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/goike/goike/"

// pkg is a package of this module.
type pkg struct {
	ImportPath, Dir string
	GoFiles         []string
	Imports         []string
}

// name is the path within the module.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

// ours are the imports within the module.
func (p pkg) ours() []string {
	var out []string
	for _, i := range p.Imports {
		if n, ok := strings.CutPrefix(i, module); ok {
			out = append(out, n)
		}
	}
	return out
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", module+"...")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, errs.String())
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// mayImport says for each part of the house on which parts it may stand. A pattern
// is a package, or a folder with everything below it when it ends with "/...". The
// first rule that fits counts.
var mayImport = []struct {
	part string
	on   []string
}{
	{"crypto/...", []string{"crypto/..."}},
	{"ike/wire", nil},
	{"ike/record", nil},
	{"esp", []string{"crypto/..."}},
	{"esp/...", []string{"esp/...", "crypto/...", "internal/udp", "internal/hostnet"}},
	{"xfrm/message", []string{"crypto/..."}},
	{"xfrm/netlink", []string{"xfrm/message"}},
	{"xfrm/keepalive", []string{"esp"}},
	{"xfrm", []string{"xfrm/...", "esp", "crypto/...", "internal/hostnet"}},
	{"conf/...", []string{"conf/...", "crypto/..."}},
	{"ike", []string{"ike/wire", "conf", "crypto/...", "esp"}},
	{"ike/ts", []string{"ike/wire", "conf", "esp"}},
	{"ike/auth", []string{"ike/wire", "crypto/..."}},
	{"ike/child", []string{"ike", "ike/ts", "ike/wire", "conf", "crypto/...", "esp"}},
	{"ike/v2", []string{"ike", "ike/record", "ike/ts", "ike/auth", "ike/child", "ike/wire", "conf", "crypto/...", "esp"}},
	{"ike/control", []string{"ike", "ike/ts", "ike/wire", "conf", "crypto/...", "esp"}},
	{"ike/transport", []string{"ike", "internal/udp"}},
	{"ike/engine", []string{"ike", "ike/record", "ike/child", "ike/ts", "ike/wire", "ike/control", "conf", "crypto/...", "esp"}},
	{"internal/metrics", nil},
	{"internal/...", []string{"internal/..."}},
	{"cmd/goikectl", []string{"ike/control", "ike", "ike/ts", "conf/...", "crypto/...", "esp", "internal/version"}},
	{"cmd/...", []string{"ike/...", "conf/...", "crypto/...", "esp/...", "xfrm/...", "internal/..."}},
	{"test/...", []string{"test/...", "ike/...", "conf/...", "crypto/...", "esp/...", "xfrm/...", "internal/..."}},
}

func fits(name, pattern string) bool {
	folder, all := strings.CutSuffix(pattern, "/...")
	return name == folder || all && strings.HasPrefix(name, folder+"/")
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		i := slices.IndexFunc(mayImport, func(r struct {
			part string
			on   []string
		}) bool {
			return fits(p.name(), r.part)
		})
		if i < 0 {
			t.Errorf("%s has no place in the house: give it a rule here and in docs/design.md", p.name())
			continue
		}
		for _, dep := range p.ours() {
			if !slices.ContainsFunc(mayImport[i].on, func(on string) bool { return fits(dep, on) }) {
				t.Errorf("%s imports %s, which the rule for %s does not allow", p.name(), dep, mayImport[i].part)
			}
		}
	}
}

// No two top-level folders stand on each other. test and cmd are the roof.
func TestFoldersHaveNoCircle(t *testing.T) {
	on := make(map[string]map[string]bool)
	for _, p := range packages(t) {
		from, _, _ := strings.Cut(p.name(), "/")
		for _, dep := range p.ours() {
			to, _, _ := strings.Cut(dep, "/")
			if on[from] == nil {
				on[from] = make(map[string]bool)
			}
			on[from][to] = from != to
		}
	}
	var visit func(folder string, trail []string)
	visit = func(folder string, trail []string) {
		if slices.Contains(trail, folder) {
			t.Errorf("circle of folders: %s", strings.Join(append(trail, folder), " > "))
			return
		}
		for to, other := range on[folder] {
			if other {
				visit(to, append(slices.Clone(trail), folder))
			}
		}
	}
	for folder := range on {
		visit(folder, nil)
	}
}

// Every package folder below internal, ike, esp, crypto and conf has a test.
func TestEveryPackageIsTested(t *testing.T) {
	for _, p := range packages(t) {
		top, _, _ := strings.Cut(p.name(), "/")
		if !slices.Contains([]string{"internal", "ike", "esp", "crypto", "conf", "cmd"}, top) || untested[p.name()] != "" {
			continue
		}
		found, err := testFiles(p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Errorf("%s has no test beside it", path.Clean(p.name()))
		}
	}
}

// untested are packages without tests beside them, and why.
var untested = map[string]string{
	"internal/version":        "there is nothing to test",
	"crypto/internal/vectors": "it serves tests",
	"crypto/internal/aesmac":  "crypto/prf and crypto/seal test it, with the vectors of RFC 3566 and RFC 4493",
}
