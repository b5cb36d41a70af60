package conf

import "testing"

func TestMarks(t *testing.T) {
	for text, want := range map[string]Mark{
		"0":                   {0, 0xffffffff},
		"42":                  {42, 0xffffffff},
		"0x10/0xff":           {0x10, 0xff},
		" 1 / 3 ":             {1, 3},
		"/0xf0":               {0, 0xf0},
		"0/0":                 {},
		"4294967295/037":      {0xffffffff, 037},
		"0xffffffff/0xffffff": {0xffffffff, 0xffffff},
	} {
		m, err := ParseMark(text)
		if err != nil || m != want {
			t.Errorf("%q: %v %v, want %v", text, m, err, want)
		}
		if again, err := ParseMark(m.String()); err != nil || again != m {
			t.Errorf("%q is written %q", text, m)
		}
	}
	for _, text := range []string{"", "/", "1/", "-1", "0x1_0000_0000", "1/2/3", "%unique", "1.5", "a"} {
		if m, err := ParseMark(text); err == nil {
			t.Errorf("%q: %v", text, m)
		}
	}
}

func FuzzMark(f *testing.F) {
	for _, s := range []string{"42", "0x10/0xff", "/1", "0b1/0o7", "1/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMark(s)
		if err != nil {
			if m != (Mark{}) {
				t.Errorf("%v with %v", m, err)
			}
			return
		}
		if again, err := ParseMark(m.String()); err != nil || again != m {
			t.Errorf("%q is %v, written %q", s, m, m.String())
		}
	})
}
