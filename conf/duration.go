package conf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AllowedDuration says how durations are written.
const AllowedDuration = `a number and a unit, such as "90s", "9m", "3h", "2d", "1y"`

// maxDuration keeps sums of durations far from overflowing.
const maxDuration = 100 * year

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// units are the units of durations, the largest first.
var units = [...]struct {
	word string
	is   time.Duration
}{{"y", year}, {"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

var errDuration = errors.New("is no duration")

// ParseDuration reads a duration: a number and one of the units y (365 days), d,
// h, m, s, ms. "forever" is no duration here: only some settings allow it.
func ParseDuration(s string) (time.Duration, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil && !errors.Is(err, strconv.ErrRange) || strings.HasPrefix(digits, "+") {
		return 0, errDuration
	}
	for _, u := range units {
		if s[len(digits):] != u.word {
			continue
		}
		if err != nil || n > uint64(maxDuration/u.is) {
			return 0, errors.New("is longer than 100 years")
		}
		return time.Duration(n) * u.is, nil //nolint:gosec // bounded above
	}
	return 0, errDuration
}

// FormatDuration writes a duration as ParseDuration reads it, in the largest unit
// that needs no fraction; Forever is "forever".
func FormatDuration(d time.Duration) string {
	if d == Forever {
		return "forever"
	}
	for _, u := range units {
		if d%u.is == 0 {
			return fmt.Sprintf("%d%s", d/u.is, u.word)
		}
	}
	return d.String()
}
