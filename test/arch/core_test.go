package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// core is what reads no clock, starts no goroutine, takes no lock, does no I/O and
// writes no log, so that it can be stepped under virtual time.
var core = []string{"ike", "ike/wire", "ike/ts", "ike/auth", "ike/child", "ike/v2", "esp", "crypto/..."}

// banned are packages that the core does not import.
var banned = []string{
	"os", "os/exec", "net", "net/http", "syscall", "log", "log/slog", "sync", "sync/atomic", "context", "math/rand", "math/rand/v2",
	"crypto/rand", "golang.org/x/sys/unix",
}

// bannedCalls are functions of packages that the core imports for other reasons.
var bannedCalls = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
	"fmt":  {"Print", "Println", "Printf"},
}

// allowed are the exceptions, file by file, with the reason.
var allowed = map[string]string{
	"crypto/secret.go log/slog":             "LogValue keeps secrets out of logs",
	"ike/v2/cookie.go sync":                 "the secret of cookies is shared by the shards",
	"ike/v2/tickets.go sync":                "the keys of tickets are shared by the shards",
	"esp/sender.go sync/atomic":             "sequence numbers are reserved by several workers",
	"esp/receiver.go sync":                  "the replay window is shared by several workers",
	"esp/association.go sync":               "keys are zeroed while workers may want them",
	"esp/association.go sync/atomic":        "an SA moves while workers use it",
	"crypto/internal/vectors/vectors.go os": "reads the vectors of tests",
}

func TestCoreIsPure(t *testing.T) {
	used := make(map[string]bool)
	for _, p := range packages(t) {
		if !slices.ContainsFunc(core, func(c string) bool { return fits(p.name(), c) }) {
			continue
		}
		for _, f := range p.GoFiles {
			for _, what := range impurities(t, filepath.Join(p.Dir, f)) {
				key := p.name() + "/" + f + " " + what
				if used[key] = true; allowed[key] == "" {
					t.Errorf("%s/%s: the core must not use %s", p.name(), f, what)
				}
			}
		}
	}
	for key := range allowed {
		if !used[key] {
			t.Errorf("the exception %q is not needed", key)
		}
	}
}

// impurities lists what a file uses that the core must not.
func impurities(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	names := make(map[string]string) // of the packages with banned calls
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(banned, path) {
			found = append(found, path)
		}
		name := path
		if i.Name != nil {
			name = i.Name.Name
		}
		if bannedCalls[path] != nil {
			names[name] = path
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "go statements")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(bannedCalls[names[x.Name]], n.Sel.Name) {
				found = append(found, x.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	slices.Sort(found)
	return slices.Compact(found)
}

func testFiles(dir string) ([]string, error) {
	return filepath.Glob(filepath.Join(dir, "*_test.go"))
}

// The rules themselves are tried on a file that breaks them.
func TestImpuritiesAreFound(t *testing.T) {
	got := strings.Join(impurities(t, filepath.Join("testdata", "impure.go.txt")), ", ")
	if want := "clock.Now, fmt.Println, go statements, sync"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}
