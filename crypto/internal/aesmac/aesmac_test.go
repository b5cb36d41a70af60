package aesmac

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// RFC 3566 (test cases 3 and 4) and RFC 4493, 4 (examples 2 and 3); the other
// vectors of both stand in the tests of packages prf and seal.
var known = []struct {
	name      string
	make      func(key []byte) (*MAC, error)
	key, data string
	want      string
}{
	{"XCBC", NewXCBC, "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f", "d2a246fa349b68a79998a4394ff7a263"},
	{"XCBC", NewXCBC, "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f10111213", "47f51b4564966215b8985c63055ed308"},
	{"CMAC", NewCMAC, "2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c"},
	{"CMAC", NewCMAC, "2b7e151628aed2a6abf7158809cf4f3c",
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411", "dfa66747de9ae63030ca32611497c827"},
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWrites cuts the message everywhere and uses the MAC again and again.
func TestWrites(t *testing.T) {
	for _, k := range known {
		m, err := k.make(unhex(t, k.key))
		if err != nil {
			t.Fatal(err)
		}
		data, want := unhex(t, k.data), unhex(t, k.want)
		for i := range data {
			for j := i; j <= len(data); j++ {
				m.Reset()
				for _, part := range [][]byte{data[:i], data[i:j], data[j:]} {
					if n, err := m.Write(part); n != len(part) || err != nil {
						t.Fatalf("%s: wrote %d (%v)", k.name, n, err)
					}
				}
				if got := m.Sum([]byte("x")); !bytes.Equal(got[1:], want) || got[0] != 'x' {
					t.Fatalf("%s, cut at %d and %d: %x, not %x", k.name, i, j, got, want)
				}
			}
		}
		if m.Size() != Size || m.BlockSize() != Size {
			t.Errorf("%s: size %d, block %d", k.name, m.Size(), m.BlockSize())
		}
	}
}

func TestNoAllocation(t *testing.T) {
	data, out := make([]byte, 1000), make([]byte, 0, Size)
	for _, k := range known {
		m, err := k.make(unhex(t, k.key))
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(10, func() {
			m.Reset()
			_, _ = m.Write(data)
			m.Sum(out)
		}); n != 0 {
			t.Errorf("%s allocates %v times", k.name, n)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, k := range known {
		for _, n := range []int{0, 15, 17} {
			if _, err := k.make(make([]byte, n)); err == nil {
				t.Errorf("%s takes a key of %d octets", k.name, n)
			}
		}
	}
}
