package swan

import (
	"io/fs"
	"os"
	"strings"
	"testing"
)

// The secret of the fuzzed documents.
const secretText = "Wq7vJx2LkRz9TfHb"

var seeds = []string{
	"connections { a : d, e.f { x = 1 # c\n y = \"q\\n\" z\n children { c { local_ts = 10.1.0.0/16 } } } }\n",
	"a = b { c }\n", "a : b : c { }", "include x\ninclude \"\ny\"", "s { s { s { } } }\ns : s.s { s : s { } }", "a = \"b\\\r\nc", "k = v#w\n",
	"secrets { ike-a { id = \"@#00\"\n secret = 0sAAAA } }", "\xef\xbb\xbf}\r\n", "connections { c { version = 2\n remote_addrs = 198.51.100.2\n local { auth = psk }\n remote { auth = psk } } }",
}

// memory is a loader whose only file is the document.
func memory(text string) *loader {
	l := newLoader()
	l.glob = func(pattern string) ([]string, error) { return []string{pattern}, nil }
	l.read = func(path string) ([]byte, fs.FileMode, error) {
		if path == "x.conf" {
			return []byte(text), 0o600, nil
		}
		return nil, 0, fs.ErrNotExist
	}
	return l
}

// FuzzTree reads any text: it becomes a tree of bounded size or an error with a place.
func FuzzTree(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	if b, err := os.ReadFile("testdata/full.conf"); err == nil {
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := memory(text)
		root := l.tree("x.conf")
		if (root == nil) != (len(l.errs) > 0) {
			t.Fatalf("%v, %v", root, l.errs)
		}
		for _, e := range l.errs {
			if lines := strings.Count(text, "\n") + 1; e.File != "x.conf" || e.Line < 1 || e.Line > lines || e.Col < 1 || strings.Contains(e.Text, "\n") {
				t.Errorf("%+v", e)
			}
		}
		if root != nil && depth(root) > maxNesting+1 {
			t.Error("too deep")
		}
	})
}

func depth(s *Section) int {
	most := 0
	for _, sub := range s.Sections {
		most = max(most, depth(sub))
	}
	return most + 1
}
