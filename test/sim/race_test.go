//go:build race

package sim

// seedsOfCI is how many seeds TestNetworks draws: the race detector makes each take many
// times as long.
const seedsOfCI = 300
