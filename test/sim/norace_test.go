//go:build !race

package sim

// seedsOfCI is how many seeds TestNetworks draws.
const seedsOfCI = 10000
