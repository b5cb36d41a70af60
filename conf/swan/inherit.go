package swan

import "strings"

// resolver follows the references of sections. A section inherits the keys and sections
// of those it refers to, behind its own; so do the sections in it from those of the same
// name.
type resolver struct {
	*loader
	root   *block
	within map[*block]bool // sections whose references are being followed
	said   map[*block]bool // sections with a reference to nothing
	steps  int
}

func (l *loader) resolve(root *block) *Section {
	r := &resolver{loader: l, root: root, within: make(map[*block]bool), said: make(map[*block]bool)}
	s := r.section([]*block{root}, 0)
	if r.failed() {
		return nil
	}
	return s
}

// section merges blocks: what comes first counts.
func (r *resolver) section(from []*block, depth int) *Section {
	s := &Section{Name: from[0].name, At: from[0].at}
	if depth > maxNesting {
		r.fail(s.At, "by its references section %s holds sections within sections, more than %d deep, if not itself; allowed: fewer", word(s.Name), maxNesting)
		return s
	}
	all := r.expand(from)
	seen := make(map[string]bool)
	for _, b := range all {
		for _, o := range b.options {
			if r.step(o.at) && !seen[o.name] {
				seen[o.name] = true
				if o.set {
					s.Options = append(s.Options, &Option{Name: o.name, At: o.at, Values: []string{o.value}})
				}
			}
		}
	}
	clear(seen)
	for _, b := range all {
		for _, sub := range b.sections {
			if r.step(sub.at) && !seen[sub.name] {
				seen[sub.name] = true
				s.Sections = append(s.Sections, r.section(within(all, sub.name), depth+1))
			}
		}
	}
	return s
}

// within are the sections of that name within blocks.
func within(blocks []*block, name string) []*block {
	var subs []*block
	for _, b := range blocks {
		if sub := b.named[name]; sub != nil {
			subs = append(subs, sub)
		}
	}
	return subs
}

// expand puts behind each block those that it refers to, each once. A circle ends where
// it closes.
func (r *resolver) expand(from []*block) []*block {
	var all []*block
	have := make(map[*block]bool)
	var add func(blocks []*block)
	add = func(blocks []*block) {
		for _, b := range blocks {
			if have[b] || r.failed() {
				continue
			}
			have[b] = true
			all = append(all, b)
			if r.within[b] {
				continue
			}
			r.within[b] = true
			for _, ref := range b.refs {
				if !r.step(ref.at) {
					break
				}
				add(r.lookup(b, ref))
			}
			delete(r.within, b)
		}
	}
	add(from)
	return all
}

// lookup finds what a reference names. As in strongSwan one to nothing is no error.
func (r *resolver) lookup(b *block, ref reference) []*block {
	found := []*block{r.root}
	for _, name := range ref.path {
		found = within(r.expand(found), name)
	}
	if len(found) == 0 && !r.said[b] && !r.failed() {
		r.said[b] = true
		r.warn(ref.at, "section %s refers to %s, which is nowhere: it inherits nothing from it, as in strongSwan", word(b.name), word(strings.Join(ref.path, ".")))
	}
	return found
}

// step counts work: references to references can multiply it.
func (r *resolver) step(at Pos) bool {
	if r.steps++; r.steps > maxParts {
		r.fail(at, "references to references multiply the configuration to more than %d sections and keys; allowed: fewer", maxParts)
	}
	return !r.failed()
}
