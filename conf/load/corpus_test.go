package load

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/ipsec"
	"github.com/goike/goike/conf/toml"
)

// corpus is a directory of configurations in three formats that mean the same.
const corpus = "testdata/corpus"

// Configurations that mean the same are the same, in whatever format they are written, and
// stay so when they are converted to goike.toml.
func TestCorpus(t *testing.T) {
	dirs, err := os.ReadDir(corpus)
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) < 12 {
		t.Errorf("%d configurations", len(dirs))
	}
	for _, d := range dirs {
		t.Run(d.Name(), func(t *testing.T) {
			dir := private(t, filepath.Join(corpus, d.Name()))
			want, _, err := File(filepath.Join(dir, "goike.toml"), "")
			if err != nil {
				t.Fatal(err)
			}
			for name, load := range map[string]func() (*conf.Config, []conf.Warning, error){
				"swanctl.conf": func() (*conf.Config, []conf.Warning, error) { return File(filepath.Join(dir, "swanctl.conf"), "") },
				"ipsec.conf": func() (*conf.Config, []conf.Warning, error) {
					return ipsec.Load(filepath.Join(dir, "ipsec.conf"), "", nil)
				},
			} {
				got, _, err := load()
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				same(t, name, got, want)
				var text strings.Builder
				if err := toml.Write(&text, got); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				again, _, err := toml.Parse("goike.toml", []byte(text.String()))
				if err != nil {
					t.Errorf("%s, converted: %v in\n%s", name, err, text.String())
					continue
				}
				same(t, name+", converted", again, want)
			}
		})
	}
}

// private copies a directory, with modes as files with secrets have to have.
func private(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, f.Name(), string(b))
	}
	return dir
}

// same compares what two configurations do. What only one format can say, or says in
// other words, is made alike: the names of keys, whether a tunnel's margins are its own or
// the connection's, and whether a connection says itself what unique_ids is for all.
func same(t *testing.T, what string, got, want *conf.Config) {
	t.Helper()
	a, b := alike(got), alike(want)
	for i := range max(len(a.Connections), len(b.Connections)) {
		if i >= len(a.Connections) || i >= len(b.Connections) {
			t.Errorf("%s: %d connections, want %d", what, len(a.Connections), len(b.Connections))
			return
		}
		x, y := a.Connections[i], b.Connections[i]
		for j := range max(len(x.Children), len(y.Children)) {
			if j >= len(x.Children) || j >= len(y.Children) || !reflect.DeepEqual(x.Children[j], y.Children[j]) {
				t.Errorf("%s: children of %s: %+v\nwant %+v", what, x.Name, show(x.Children), show(y.Children))
				break
			}
		}
		x.Children, y.Children = nil, nil
		if !reflect.DeepEqual(x, y) {
			t.Errorf("%s: %+v\nwant %+v", what, x, y)
		}
	}
	a.Connections, b.Connections = nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s: %+v\nwant %+v", what, a, b)
	}
}

func show(list []*conf.Child) (out []any) {
	for _, c := range list {
		out = append(out, *c, *c.Renewal)
	}
	return out
}

func alike(c *conf.Config) *conf.Config {
	out := *c
	out.Connections, out.Secrets = nil, nil
	for _, s := range c.Secrets {
		s.Name = ""
		out.Secrets = append(out.Secrets, s)
	}
	for _, conn := range c.Connections {
		x := *conn
		unique := c.Unique(conn)
		x.UniqueIDs, x.Children = &unique, nil
		for _, child := range conn.Children {
			y := *child
			r, behavior, action := conn.RenewalOf(child), conn.BehaviorOf(child), conn.DPDActionOf(child)
			if y.LifetimeBytes == 0 {
				r.BytesMargin, r.BytesJitter = 0, 0
			}
			if y.LifetimePackets == 0 {
				r.PacketsMargin, r.PacketsJitter = 0, 0
			}
			y.Renewal, y.Behavior, y.DPDAction = &r, &behavior, &action
			x.Children = append(x.Children, &y)
		}
		out.Connections = append(out.Connections, &x)
	}
	out.UniqueIDs = 0
	return &out
}
