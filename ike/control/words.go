package control

import "github.com/goike/goike/ike"

// CauseWord is the word for a cause, as goike-conn has it; empty for none.
func CauseWord(c ike.Cause) string {
	if c == 0 {
		return ""
	}
	return word(causes[:], c)
}

// IKEStates are the words of list-sas for the states of IKE SAs, by their numbers.
func IKEStates() []string { return ikeStates[:] }

// ChildStates are those for the states of child SAs.
func ChildStates() []string { return childStates[:] }
