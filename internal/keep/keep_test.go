//go:build linux

package keep

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// memory is a keyring of the test.
type memory map[string][]byte

func (m memory) put(gen, key []byte) error { m[string(gen)] = bytes.Clone(key); return nil }
func (m memory) forget(gen []byte)         { delete(m, string(gen)) }
func (memory) kind() string                { return "" }

func (m memory) get(gen []byte) ([]byte, error) {
	if key, ok := m[string(gen)]; ok {
		return bytes.Clone(key), nil
	}
	return nil, os.ErrNotExist
}

func open(t *testing.T, dir string) (*Store, map[uint64]string, string) {
	t.Helper()
	s, left, notice, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.keys.forget(s.gen) })
	got := make(map[uint64]string)
	for _, r := range left {
		if got[r.SPI] = string(r.Data); r.Part != r.SPI+1 {
			t.Errorf("part %d of %d", r.Part, r.SPI)
		}
	}
	return s, got, notice
}

func write(t *testing.T, s *Store, records ...Record) {
	t.Helper()
	if err := s.Write(records); err != nil {
		t.Fatal(err)
	}
}

func rec(spi uint64, data string) Record { return Record{spi, spi + 1, []byte(data)} }

// What was kept last is left, without what is gone; the file shows nothing of it.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	s, left, notice := open(t, dir)
	if len(left) != 0 || notice != "" {
		t.Errorf("at first: %v, %q", left, notice)
	}
	write(t, s, rec(1, "one"), rec(2, "two"), rec(3, "three"))
	write(t, s, rec(2, "two again"), rec(3, ""))
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil || bytes.Contains(data, []byte("two")) {
		t.Errorf("%v %q", err, data)
	}
	st, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	s2, left, notice := open(t, dir)
	if want := map[uint64]string{1: "one", 2: "two again"}; !maps.Equal(left, want) || notice != "" {
		t.Errorf("left %v, %q", left, notice)
	}
	if _, err := s.keys.get(s.gen); err == nil {
		t.Error("the key of the old file is still there")
	}
	write(t, s2, rec(1, ""), rec(2, ""))
	if _, left, _ := open(t, dir); len(left) != 0 {
		t.Errorf("what is gone is left: %v", left)
	}
}

// A stop leaves nothing.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	write(t, s, rec(1, "one"))
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
	if _, err := s.keys.get(s.gen); err == nil {
		t.Error("the key is still there")
	}
}

// A file that was written again and again does not grow without end, and loses nothing.
func TestCompact(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	write(t, s, rec(7, "stays"))
	big := strings.Repeat("x", 10_000)
	for i := range 1000 {
		write(t, s, rec(1, fmt.Sprint(big, i)))
	}
	if s.size > 4*compactMin {
		t.Errorf("%d octets for two records", s.size)
	}
	if _, left, notice := open(t, dir); left[7] != "stays" || left[1] != fmt.Sprint(big, 999) || notice != "" {
		t.Errorf("%d left, %q", len(left), notice)
	}
}

// However much is kept, the file is not written anew all the time.
func TestCompactSeldom(t *testing.T) {
	s, _, _ := open(t, t.TempDir())
	big := strings.Repeat("x", 100_000)
	for spi := range uint64(30) { // together more than compactMin
		write(t, s, rec(1+spi, big))
	}
	files := make(map[string]bool)
	for i := range uint64(300) {
		write(t, s, rec(1+i%30, big))
		files[string(s.gen)] = true
	}
	if len(files) < 2 || len(files) > 300/30/(growth-1)+2 {
		t.Errorf("%d files for 300 writes", len(files))
	}
}

// What an earlier process has left stays for the one after the next when this one does
// not come to write it; but not what the data plane hands over, which is used once.
func TestLeftAgain(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	write(t, s, rec(1, "one"), rec(2, "two"), rec(DataPlane, "numbers"))
	s, left, _ := open(t, dir)
	if want := map[uint64]string{1: "one", 2: "two", DataPlane: "numbers"}; !maps.Equal(left, want) {
		t.Errorf("left %v", left)
	}
	write(t, s, rec(2, ""))
	if _, left, _ = open(t, dir); !maps.Equal(left, map[uint64]string{1: "one"}) {
		t.Errorf("left again %v", left)
	}
}

// After a write that fails nothing is left, which would be older than what happened.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	write(t, s, rec(1, "one"))
	gen := bytes.Clone(s.gen)
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]Record{rec(1, "one later")}); err == nil || s.Usable() {
		t.Errorf("%v, usable %v", err, s.Usable())
	}
	if err := s.Write([]Record{rec(1, "later still")}); err == nil {
		t.Error("it keeps again")
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
	if _, err := s.keys.get(gen); err == nil {
		t.Error("the key is still there")
	}
	if err := s.Remove(); err != nil {
		t.Error(err)
	}
}

// Likewise when the file cannot be written anew.
func TestBeginFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, _, _ := open(t, dir)
	write(t, s, rec(1, "one"))
	gen := bytes.Clone(s.gen)
	if err := os.Mkdir(filepath.Join(dir, fileName+newSuffix), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileName+newSuffix, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Open(dir); err == nil {
		t.Fatal("opened")
	}
	if _, err := os.Stat(s.path()); err == nil {
		t.Error("the old file is still there")
	}
	if _, err := s.keys.get(gen); err == nil {
		t.Error("its key is still there")
	}
}

// Whatever is not as it was written is refused as a whole: an older state of an IKE SA
// would use its message IDs again. What is cut off at the end was not acted upon.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	keys := memory{}
	binding := []byte("this start")
	s := &Store{dir: dir, live: map[place][]byte{}, binding: binding, keys: keys}
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	write(t, s, rec(1, "one"))
	first := s.size
	write(t, s, rec(1, "one later"))
	good, err := os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	read := func(data []byte, binding []byte) ([]Record, error) {
		if err := os.WriteFile(s.path(), data, 0o600); err != nil {
			t.Fatal(err)
		}
		left, _, err := (&Store{dir: dir, binding: binding, keys: keys}).read()
		return left, err
	}
	if left, err := read(good, binding); err != nil || len(left) != 1 || string(left[0].Data) != "one later" {
		t.Fatal(left, err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		left, err := read(bad, binding)
		length := int64(i) >= first && int64(i) < first+lengthLen || i >= headerLen && i < headerLen+lengthLen
		if err == nil && (!length || len(left) > 1) || err != nil && left != nil {
			t.Errorf("octet %d: %v, %v", i, left, err)
		}
	}
	for n := range good {
		left, err := read(good[:n], binding)
		if n >= headerLen && err != nil || n < headerLen && err == nil || len(left) > 1 {
			t.Errorf("%d octets: %v, %v", n, left, err)
		}
	}
	if left, err := read(good, []byte("another start")); err == nil {
		t.Errorf("of another start of the machine: %v", left)
	}
	swapped := append(bytes.Clone(good[:headerLen]), good[first:]...)
	if left, err := read(append(swapped, good[headerLen:first]...), binding); err == nil {
		t.Errorf("in another order: %v", left)
	}
	clear(keys)
	if left, err := read(good, binding); err == nil {
		t.Errorf("without the key: %v", left)
	}
}

// Neither a link nor a file that others can read is taken.
func TestForeignFile(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(path string) error
	}{
		{"a link", func(path string) error {
			other := path + ".other"
			if err := os.Rename(path, other); err != nil {
				return err
			}
			return os.Symlink(other, path)
		}},
		{"readable", func(path string) error { return os.Chmod(path, 0o644) }},
		{"a directory", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		}},
		{"another version", func(path string) error { return os.WriteFile(path, []byte("GOIKEST9 and so on and so on"), 0o600) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s, _, _ := open(t, dir)
			write(t, s, rec(1, "one"))
			if err := c.do(filepath.Join(dir, fileName)); err != nil {
				t.Fatal(err)
			}
			_, left, notice, err := Open(dir)
			if len(left) != 0 || notice == "" && err == nil {
				t.Errorf("%v, %q, %v", left, notice, err)
			}
		})
	}
}

// Keys beside the file are as private as it is.
func TestFileKeys(t *testing.T) {
	k := fileKeys{t.TempDir()}
	gen, key := []byte("generation"), bytes.Repeat([]byte{7}, 32)
	if err := k.put(gen, key); err != nil {
		t.Fatal(err)
	}
	if got, err := k.get(gen); err != nil || !bytes.Equal(got, key) {
		t.Error(got, err)
	}
	if err := os.Chmod(k.path(gen), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := k.get(gen); err == nil {
		t.Error("a key that others can read is taken")
	}
	k.forget(gen)
	if list, _ := os.ReadDir(k.dir); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
}

// BenchmarkWrite keeps the state of one of a thousand IKE SAs at a time.
func BenchmarkWrite(b *testing.B) {
	s, _, _, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte{7}, 1000)
	for i := uint64(0); b.Loop(); i++ {
		if err := s.Write([]Record{{1 + i%1000, 0, data}}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Remove(); err != nil {
		b.Fatal(err)
	}
}
