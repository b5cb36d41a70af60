package swan

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
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

// FuzzLoad reads whatever comes before and behind a secret: nothing that is said about it
// shows the secret, and what is accepted is what conf.Validate has nothing against.
func FuzzLoad(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, "")
	}
	f.Add("connections { c {\nlocal { auth = psk }\nremote { auth = psk\n id = *.x }\nremote_addrs = 192.0.2.1\nchildren { k {\n", "} } } }\n")
	f.Add("secrets { ike-x { id = a\n", "id-2 = b\n} }")
	f.Add("connections { c { rekey_time = 1d\n", "over_time = 100d } }")
	f.Fuzz(func(t *testing.T, before, behind string) {
		if strings.Contains(before+behind, secretText[:8]) {
			return
		}
		text := before + "\nsecret = " + secretText + "\n" + behind
		c, ws, err := memory(text).load("x.conf")
		if said := fmt.Sprint(ws, err); strings.Contains(said, secretText[1:9]) || strings.Contains(fmt.Sprintf("%+v", c), secretText) {
			t.Fatalf("shows the secret: %s", said)
		}
		if err != nil {
			return
		}
		for _, finding := range conf.Validate(c) {
			if !finding.Warning && finding.Key != "pre_shared_key" {
				t.Errorf("accepted, but: %+v", finding)
			}
		}
	})
}
