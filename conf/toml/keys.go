package toml

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// key is a key of a section that fills in a T.
type key[T any] struct {
	name string
	read func(s scope, t T, it *item)
}

// fill reads a table into t, by the keys that its section has.
func fill[T any](s scope, keys []key[T], from *table, t T) {
	for _, it := range from.keys {
		k := find(keys, it.name)
		if k == nil {
			s.unknown(it.name, it.at, names(keys))
			continue
		}
		s.places[s.at(it.name)] = it.value.at
		k.read(s, t, it)
	}
}

func find[T any](keys []key[T], name string) *key[T] {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

func names[T any](keys []key[T]) []string {
	ns := make([]string, len(keys))
	for i, k := range keys {
		ns[i] = k.name
	}
	return ns
}

// flag is a key that is true or false.
func flag[T any](name string, into func(T) *bool) key[T] {
	return key[T]{name, func(s scope, t T, it *item) {
		if b, ok := s.boolean(it); ok {
			*into(t) = b
		}
	}}
}

// unless is a key that is true or false and says the opposite of what it sets.
func unless[T any](name string, into func(T) *bool) key[T] {
	return key[T]{name, func(s scope, t T, it *item) {
		if b, ok := s.boolean(it); ok {
			*into(t) = !b
		}
	}}
}

// laterFlag is a key with one value so far.
func laterFlag[T any](name string, served bool) key[T] {
	return key[T]{name, func(s scope, _ T, it *item) {
		if b, ok := s.boolean(it); ok && b != served {
			s.bad(it.name, it.value.at, "= %t is not supported yet; allowed: %t", b, served)
		}
	}}
}

// number is a key that is an integer from least to most.
func number[T any](name string, least, most int, into func(T) *int) key[T] {
	allowed := fmt.Sprintf("an integer from %d to %d", least, most)
	return key[T]{name, func(s scope, t T, it *item) {
		if n, ok := s.integer(name, it.value, int64(least), int64(most), allowed); ok {
			*into(t) = int(n)
		}
	}}
}

// span is a key that is a duration of at least so much.
func span[T any](name string, least time.Duration, into func(T) *time.Duration) key[T] {
	return key[T]{name, func(s scope, t T, it *item) {
		if d, ok := s.duration(it, least, false); ok {
			*into(t) = d
		}
	}}
}

// life is a key that is a duration or "forever".
func life[T any](name string, into func(T) *time.Duration) key[T] {
	return key[T]{name, func(s scope, t T, it *item) {
		if d, ok := s.duration(it, time.Second, true); ok {
			*into(t) = d
		}
	}}
}

// choice is a word that a key may be set to.
type choice[E any] struct {
	word  string
	is    E
	later bool // known, and not supported yet
}

// served are the words of values.
func served[E fmt.Stringer](values ...E) []choice[E] {
	cs := make([]choice[E], len(values))
	for i, v := range values {
		cs[i] = choice[E]{word: v.String(), is: v}
	}
	return cs
}

// later are the words of values that nothing serves yet.
func later[E any](values ...string) []choice[E] {
	cs := make([]choice[E], len(values))
	for i, v := range values {
		cs[i] = choice[E]{word: v, later: true}
	}
	return cs
}

func allowedWords[E any](cs []choice[E]) string {
	var words []string
	for _, c := range cs {
		if !c.later {
			words = append(words, strconv.Quote(c.word))
		}
	}
	return strings.Join(words, ", ")
}

// word is a key that is one of several words.
func word[T, E any](name string, into func(T) *E, choices ...[]choice[E]) key[T] {
	var cs []choice[E]
	for _, c := range choices {
		cs = append(cs, c...)
	}
	allowed := allowedWords(cs)
	return key[T]{name, func(s scope, t T, it *item) {
		text, ok := s.text(name, it.value, allowed)
		if !ok {
			return
		}
		for _, c := range cs {
			switch {
			case c.word != text:
			case c.later:
				s.bad(name, it.value.at, "%q is not supported yet; allowed: %s", text, allowed)
				return
			default:
				*into(t) = c.is
				return
			}
		}
		s.bad(name, it.value.at, "is %s; allowed: %s", show(it.text), allowed)
	}}
}

// laterWord is a key of which only some words are served, all with the same
// meaning.
func laterWord[T any](name, served string, others ...string) key[T] {
	var ignored struct{}
	return word(name, func(T) *struct{} { return &ignored }, []choice[struct{}]{{word: served}}, later[struct{}](others...))
}

// laterText is a key that is a string, or a list of strings where list says so.
// Only "" and [] are served; why says what to do without.
func laterText[T any](name string, list bool, why string) key[T] {
	return key[T]{name, func(s scope, _ T, it *item) {
		switch {
		case it.kind == unstable.String && len(it.text) == 0, list && it.kind == unstable.Array && len(it.list) == 0:
		case it.kind == unstable.String:
			s.bad(name, it.value.at, "is not supported yet; %s", why)
		case !list:
			s.wrongType(name, it.value, "a string; it is not supported yet: "+why)
		default:
			if _, ok := s.list(it, "a string"); ok {
				s.bad(name, it.value.at, "is not supported yet; %s", why)
			}
		}
	}}
}
