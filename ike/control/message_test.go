package control

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// example is the message that strongSwan's description of VICI encodes as an
// example (src/libcharon/plugins/vici/README.md, "Encoding example").
const example = "\x03\x04key1\x00\x06value1" +
	"\x01\x08section1" +
	"\x01\x0bsub-section" + "\x03\x04key2\x00\x06value2" + "\x02" +
	"\x04\x05list1" + "\x05\x00\x05item1" + "\x05\x00\x05item2" + "\x06" +
	"\x02"

func exampleMessage() *Message {
	m := &Message{}
	m.Set("key1", "value1")
	s := m.AddSection("section1")
	s.AddSection("sub-section").Set("key2", "value2")
	s.SetList("list1", "item1", "item2")
	return m
}

func TestEncodingExample(t *testing.T) {
	if got := string(exampleMessage().Append(nil)); got != example {
		t.Errorf("encoded: %q\nwant: %q", got, example)
	}
	m, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, exampleMessage()) {
		t.Errorf("parsed: %s", m)
	}
	if got, want := m.String(), "{key1=value1 section1 {sub-section {key2=value2} list1=[item1 item2]}}"; got != want {
		t.Errorf("String: %s, want %s", got, want)
	}
}

func TestMessageReading(t *testing.T) {
	m := exampleMessage()
	m.Set("key1", "second")
	s := m.Section("section1")
	if m.Get("key1") != "value1" || !m.Has("key1") || m.Has("list1") || m.Get("absent") != "" {
		t.Errorf("values of %s", m)
	}
	if got := s.List("list1"); !reflect.DeepEqual(got, []string{"item1", "item2"}) || s.List("key2") != nil {
		t.Errorf("list of %s: %q", s, got)
	}
	var names []string
	for name, sub := range s.Sections() {
		names = append(names, name+"/"+sub.Get("key2"))
	}
	for name, v := range m.Values() {
		names = append(names, name+"="+v)
	}
	if got := strings.Join(names, " "); got != "sub-section/value2 key1=value1 key1=second" {
		t.Errorf("iterated: %s", got)
	}
	for range m.Values() {
		break
	}
	var none *Message
	if none.Get("a") != "" || none.Section("a").List("b") != nil || len(none.Append(nil)) != 0 || none.String() != "{}" {
		t.Error("a nil message is not empty")
	}
	for range none.Sections() {
		t.Error("a nil message has a section")
	}
}

// What is longer than the format can hold is cut, so that the message stays valid.
func TestTooLongIsCut(t *testing.T) {
	m := &Message{}
	m.Set(strings.Repeat("n", 300), strings.Repeat("v", 70000))
	m.SetList("l", strings.Repeat("i", 70000))
	m.AddSection(strings.Repeat("s", 300))
	back, err := Parse(m.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, m) {
		t.Error("comes back otherwise")
	}
	if n := len(back.Get(strings.Repeat("n", 255))); n != 65535 {
		t.Errorf("the value has %d octets", n)
	}
}

func TestParseMalformed(t *testing.T) {
	deep := strings.Repeat("\x01\x01s", maxDepth) + strings.Repeat("\x02", maxDepth)
	if _, err := Parse([]byte(deep)); err != nil {
		t.Errorf("%d sections deep: %v", maxDepth, err)
	}
	full := strings.Repeat("\x03\x00\x00\x00", maxElements)
	if _, err := Parse([]byte(full)); err != nil {
		t.Errorf("%d elements: %v", maxElements, err)
	}
	for name, in := range map[string]string{
		"type 0":                    "\x00",
		"type 7":                    "\x07",
		"item outside of a list":    "\x05\x00\x01a",
		"list end without list":     "\x06",
		"section end without start": "\x02",
		"open section":              "\x01\x01s",
		"open list":                 "\x04\x01l\x05\x00\x01a",
		"section in a list":         "\x04\x01l\x01\x01s\x02\x06",
		"list in a list":            "\x04\x01l\x04\x01m\x06\x06",
		"value in a list":           "\x04\x01l\x03\x01k\x00\x01v\x06",
		"name cut short":            "\x03\x05key",
		"no name":                   "\x03",
		"no value length":           "\x03\x01k\x00",
		"value cut short":           "\x03\x01k\x00\x02v",
		"too deep":                  strings.Repeat("\x01\x01s", maxDepth+1) + strings.Repeat("\x02", maxDepth+1),
		"too many elements":         full + "\x03\x00\x00\x00",
		"too many items":            "\x04\x00" + strings.Repeat("\x05\x00\x00", maxElements) + "\x06",
	} {
		m, err := Parse([]byte(in))
		if m != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

// Any tree of messages comes back as it was.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		m := randomMessage(r, 0)
		b := m.Append(nil)
		back, err := Parse(b)
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if !reflect.DeepEqual(back, m) {
			t.Fatalf("%s comes back as %s", m, back)
		}
	}
}

func randomMessage(r *rand.Rand, depth int) *Message {
	text := func(n int) string {
		b := make([]byte, r.IntN(n))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	m := &Message{}
	for range r.IntN(5) {
		switch k := r.IntN(4); {
		case k == 0 && depth < 5:
			m.items = append(m.items, item{kind: sectionStart, name: text(20), section: randomMessage(r, depth+1)})
		case k == 1:
			var list []string
			for range r.IntN(4) {
				list = append(list, text(30))
			}
			m.SetList(text(20), list...)
		default:
			m.Set(text(20), text(300))
		}
	}
	return m
}

// Whatever parses has one encoding: the one it was parsed from.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte{})
	f.Add([]byte("\x04\x00\x06\x01\x00\x02\x03\x00\x00\x00"))
	f.Add([]byte(strings.Repeat("\x01\x00", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			return
		}
		if got := m.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%q is encoded as %q", b, got)
		}
	})
}
