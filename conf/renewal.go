package conf

import (
	"math"
	"time"
)

// Renewal says when the SAs of a child are replaced: the margin before their limit, and
// up to the jitter earlier, at random.
type Renewal struct {
	Margin, Jitter               time.Duration
	BytesMargin, BytesJitter     uint64
	PacketsMargin, PacketsJitter uint64
}

// bytesPart is the part of a number of octets or packets that is the margin where none
// is configured: a tenth, as strongSwan has it.
const bytesPart = 10

// RenewalOf is when the SAs of a child are replaced: what it says itself, or what its
// connection says.
func (c *Connection) RenewalOf(child *Child) Renewal {
	if child.Renewal != nil {
		return *child.Renewal
	}
	r := Renewal{
		Margin: c.Margin, Jitter: c.Jitter(),
		BytesMargin: child.LifetimeBytes / bytesPart, PacketsMargin: child.LifetimePackets / bytesPart,
	}
	r.BytesJitter, r.PacketsJitter = countJitter(r.BytesMargin, c.RekeyFuzz), countJitter(r.PacketsMargin, c.RekeyFuzz)
	return r
}

// Jitter is how much earlier than the margin the replacement of an IKE SA begins at most.
func (c *Connection) Jitter() time.Duration { return jitter(c.Margin, c.RekeyFuzz) }

func jitter(margin time.Duration, fuzz int) time.Duration {
	// In floating point, since the product may be too large for a Duration.
	return time.Duration(min(float64(margin)*float64(fuzz)/100, float64(maxDuration)))
}

func countJitter(margin uint64, fuzz int) uint64 {
	return uint64(min(float64(margin)*float64(fuzz)/100, float64(math.MaxInt64/2)))
}

// Renewed returns when SAs are replaced whose margins are these, and that much earlier at
// random as fuzz says, in percent.
func Renewed(margin time.Duration, bytes, packets uint64, fuzz int) Renewal {
	return Renewal{
		Margin: margin, Jitter: jitter(margin, fuzz), BytesMargin: bytes, BytesJitter: countJitter(bytes, fuzz),
		PacketsMargin: packets, PacketsJitter: countJitter(packets, fuzz),
	}
}

// Unique is how a connection's IKE SAs are kept unique.
func (c *Config) Unique(conn *Connection) UniqueIDs {
	if conn != nil && conn.UniqueIDs != nil {
		return *conn.UniqueIDs
	}
	return c.UniqueIDs
}
