//go:build race

package lab

// raceEnabled tells whether this program was built with the race detector.
const raceEnabled = true
