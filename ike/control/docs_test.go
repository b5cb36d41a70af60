package control

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The words of causes and subjects are those that docs/vici.md lists.
func TestDocumentedWords(t *testing.T) {
	page, err := os.ReadFile("../../docs/vici.md")
	if err != nil {
		t.Fatal(err)
	}
	for begin, words := range map[string][]string{"`cause` is one of ": causes[1:], "`subject` says more of some: ": subjects[1:]} {
		_, rest, found := strings.Cut(string(page), begin)
		list, _, end := strings.Cut(rest, ".")
		if !found || !end {
			t.Fatalf("no list behind %q", begin)
		}
		if got := regexp.MustCompile(`,\s+`).Split(list, -1); !slices.Equal(got, words) {
			t.Errorf("%s%q, but there are %q", begin, got, words)
		}
	}
}
