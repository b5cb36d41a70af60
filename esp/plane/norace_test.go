//go:build !race

package plane

// raceDetector tells whether the race detector is built in, which allocates by
// itself.
const raceDetector = false
