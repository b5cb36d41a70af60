package udp

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	for _, tc := range []struct {
		data string
		want Kind
	}{
		{"", Keepalive},
		{"ff", Keepalive}, // RFC 3948, 2.3
		{"00", Keepalive},
		{"000000", Keepalive},
		{"00000000", IKE},
		{"0000000001", IKE},
		{"ffffffff", ESP},
		{"00000001", ESP},
		{"0000010000000001", ESP},
	} {
		b, _ := hex.DecodeString(tc.data)
		if got := Classify(b); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.data, got, tc.want)
		}
	}
}

// A train is written as datagrams with a letter each: E is ESP, I is IKE, k a
// keepalive. What comes out has a space between packets.
func TestSortTakesTrainsApart(t *testing.T) {
	for _, tc := range []struct{ in, esp, ike string }{
		{"", "", ""},
		{"E", "E", ""},
		{"I", "", "I"},
		{"k", "", ""},
		{"EEE", "EEE", ""},
		{"IEE", "EE", "I"},
		{"EIE", "E E", "I"},
		{"EEI", "EE", "I"},
		{"III", "", "I I I"},
		{"EEk", "EE", ""},
		{"IEEIEk", "EE E", "I I"},
	} {
		var s Sorter
		var ike []string
		esp := s.Sort([]Packet{trainOf(tc.in)}, func(p Packet) {
			if p.Seg != 0 || Classify(p.Data) == IKE {
				t.Errorf("%s: IKE message %x in a train, or with its marker", tc.in, p.Data)
			}
			ike = append(ike, "I")
		})
		var got []string
		for _, p := range esp {
			got = append(got, lettersOf(t, p))
		}
		if g := strings.Join(got, " "); g != tc.esp {
			t.Errorf("%s: ESP %q, want %q", tc.in, g, tc.esp)
		}
		if g := strings.Join(ike, " "); g != tc.ike {
			t.Errorf("%s: IKE %q, want %q", tc.in, g, tc.ike)
		}
	}
}

const letterSize = 8

// trainOf makes the train that letters describe; a keepalive must come last.
func trainOf(letters string) Packet {
	p := Packet{IfIndex: 7, TOS: 3}
	for i, l := range []byte(letters) {
		switch l {
		case 'E':
			p.Data = append(p.Data, 0, 0, 1, 0, 0, 0, 0, byte(i))
		case 'I':
			p.Data = append(p.Data, 0, 0, 0, 0, 0x49, 0, 0, byte(i))
		case 'k':
			p.Data = append(p.Data, 0xff)
		}
	}
	if len(letters) > 1 {
		p.Seg = letterSize
	}
	return p
}

func lettersOf(t *testing.T, p Packet) string {
	t.Helper()
	if p.IfIndex != 7 || p.TOS != 3 {
		t.Errorf("the part of a train has lost what it came with: %+v", p)
	}
	var out string
	for _, one := range apart(p) {
		if Classify(one.Data) != ESP {
			t.Errorf("%x among the ESP packets", one.Data)
		}
		out += "E"
	}
	if (len(out) > 1) != (p.Seg > 0) {
		t.Errorf("%d packets with segment size %d", len(out), p.Seg)
	}
	return out
}

func FuzzSorter(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte{0xff}, 0)
	f.Add(trainOf("EIEEIk").Data, letterSize)
	f.Add(trainOf("IIE").Data, letterSize)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0}, 3)
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, -1)
	f.Fuzz(func(t *testing.T, data []byte, seg int) {
		p := Packet{Data: slices.Clone(data), Seg: seg}
		var wantESP, wantIKE, gotESP, gotIKE [][]byte
		in := p
		if seg <= 0 || seg >= len(data) {
			in.Seg = 0
		}
		for _, one := range apart(in) {
			switch Classify(one.Data) {
			case ESP:
				wantESP = append(wantESP, one.Data)
			case IKE:
				wantIKE = append(wantIKE, one.Data[MarkerLen:])
			case Keepalive:
			}
		}
		var s Sorter
		for _, q := range s.Sort([]Packet{p}, func(q Packet) { gotIKE = append(gotIKE, q.Data) }) {
			if q.Seg != 0 && q.Seg >= len(q.Data) || in.Seg == 0 && len(q.Data) != len(data) {
				t.Fatalf("%d octets with segment size %d", len(q.Data), q.Seg)
			}
			for _, one := range apart(q) {
				gotESP = append(gotESP, one.Data)
			}
		}
		if !slices.EqualFunc(gotESP, wantESP, bytes.Equal) || !slices.EqualFunc(gotIKE, wantIKE, bytes.Equal) {
			t.Fatalf("ESP %x, want %x; IKE %x, want %x", gotESP, wantESP, gotIKE, wantIKE)
		}
	})
}
