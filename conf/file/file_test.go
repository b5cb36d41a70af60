package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.conf")
	if err := os.WriteFile(path, []byte("0123456789"), 0o640); err != nil {
		t.Fatal(err)
	}
	b, mode, err := Read(path, 10)
	if err != nil || string(b) != "0123456789" || mode.Perm() != 0o640 || !Open(mode) || Open(0o600) {
		t.Errorf("%q, %v, %v", b, mode, err)
	}
	for _, c := range []struct {
		path string
		most int64
		want string
	}{
		{path, 9, "has 10 octets; 9 are the most"},
		{dir, 10, "is a directory"},
		{filepath.Join(dir, "none"), 10, "no such file"},
		{"/dev/zero", 10, "is no regular file"},
	} {
		if _, _, err := Read(c.path, c.most); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v; want %q", c.path, err, c.want)
		}
	}
}
