package conf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// AllowedMark says how marks are written.
const AllowedMark = `a number, or "value/mask" such as "0x10/0xff"`

// ParseMark reads a mark: a value, and its mask behind a slash. Without a mask all 32
// bits count, without a value those of the mask are to be zero.
func ParseMark(s string) (Mark, error) {
	value, mask, masked := strings.Cut(s, "/")
	m := Mark{Mask: math.MaxUint32}
	var err error
	if masked {
		if m.Mask, err = parse32(mask); err != nil {
			return Mark{}, fmt.Errorf("has a bad mask: it %w", err)
		}
	}
	if value != "" || !masked {
		if m.Value, err = parse32(value); err != nil {
			return Mark{}, fmt.Errorf("has a bad value: it %w", err)
		}
	}
	return m, nil
}

func parse32(s string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 32)
	if err != nil {
		return 0, errors.New("is no number of 32 bits")
	}
	return uint32(n), nil
}

// String writes the mark as ParseMark reads it.
func (m Mark) String() string {
	if m.Mask == math.MaxUint32 {
		return fmt.Sprintf("%#x", m.Value)
	}
	return fmt.Sprintf("%#x/%#x", m.Value, m.Mask)
}
