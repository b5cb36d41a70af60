// Package vectors reads the test vectors of crypto's packages: JSON files that
// name their source. Only tests import it.
package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Hex is octets that JSON writes in hexadecimal.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// Vector is one test vector and where it comes from.
type Vector[T any] struct {
	Source string
	Test   T
}

// file is what a file holds.
type file[T any] struct {
	Source  string
	Licence string
	Tests   []T
}

// Load reads every file of the folder testdata. A file without source, licence or
// tests, or with a field that T lacks, fails the test.
func Load[T any](t testing.TB) []Vector[T] {
	t.Helper()
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no test vectors (%v)", err)
	}
	var vs []Vector[T]
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f file[T]
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f.Source == "" || f.Licence == "" || len(f.Tests) == 0 {
			t.Fatalf("%s: without source, licence or tests", name)
		}
		for _, test := range f.Tests {
			vs = append(vs, Vector[T]{f.Source, test})
		}
	}
	return vs
}
