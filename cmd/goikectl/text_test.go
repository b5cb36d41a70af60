package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":          "plain text",
		"büro 東京 \u0301":      "büro 東京 \u0301",
		"\x1b[31mred\x07":     `\x1b[31mred\x07`,
		"two\nlines\r\t":      `two\x0alines\x0d\x09`,
		"\u009b31m\u007f":     `\x9b31m\x7f`,
		"\xff\xc3(":           `\xff\xc3(`,
		"\u202eright to left": `\u202eright to left`,
		"\ufeff\u200b":        `\ufeff\u200b`,
		"given \ufffd":        "given \ufffd",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestJSONIsCleanToo(t *testing.T) {
	const in = "\x1b[31m\u009b\u202e\U000e0001\xff é 東\n"
	var b bytes.Buffer
	if err := printJSON(&b, map[string]string{"text": in}, true); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r != '\n' && unsafeRune(r) {
			t.Errorf("%q reaches the terminal", r)
		}
	}
	var v map[string]string
	if err := json.Unmarshal(b.Bytes(), &v); err != nil || v["text"] != "\x1b[31m\u009b\u202e\U000e0001\ufffd é 東\n" {
		t.Errorf("%q, %v", v, err)
	}
}

func TestWidth(t *testing.T) {
	for in, want := range map[string]int{"": 0, "abc": 3, "büro": 4, "bu\u0308ro": 4, "東京": 4, "ﾊﾝ": 2, "한글": 4, "🙂": 2} {
		if got := width(in); got != want {
			t.Errorf("width(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0 s", 12: "12 s", 60: "1 min", 75: "1 min 15 s", 3600: "1 h", 3605: "1 h", 10260: "2 h 51 min", 86400: "1 d", 200000: "2 d 7 h",
	} {
		if got := span(in); got != want {
			t.Errorf("span(%d) = %q, want %q", in, got, want)
		}
	}
}

func TestOctets(t *testing.T) {
	for in, want := range map[uint64]string{
		0: "0 B", 84: "84 B", 9999: "9999 B", 10000: "10.0 kB", 999949: "999.9 kB", 999950: "1.0 MB", 1234567890: "1.2 GB",
		18446744073709551615: "18446.7 PB",
	} {
		if got := octets(in); got != want {
			t.Errorf("octets(%d) = %q, want %q", in, got, want)
		}
	}
}
