package swan

// Read reads a file in strongSwan's syntax and what it includes into a tree, without
// asking what the options mean. An error is of type conf.Errors.
func Read(file string) (*Section, []Warning, error) {
	l := newLoader()
	root := l.tree(file)
	if err := l.result(file); err != nil {
		return nil, l.warnings, err
	}
	return root, l.warnings, nil
}
