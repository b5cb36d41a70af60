//go:build linux

package main

import (
	"errors"
	"testing"

	"github.com/goike/goike/test/lab"
)

// channel carries so much, and its sender sends so much, in bit/s.
func channel(carries, sends float64) func(int64) (lab.Throughput, error) {
	return func(bits int64) (lab.Throughput, error) {
		sent := min(float64(bits), sends)
		if sent <= carries {
			return lab.Throughput{Bits: sent}, nil
		}
		return lab.Throughput{Bits: carries, Lost: 100 * (1 - carries/sent)}, nil
	}
}

func TestLossFree(t *testing.T) {
	for _, tt := range []struct{ carries, sends, low, high float64 }{
		{1e9, 100e9, 0.85e9, 1e9},
		{0.33e9, 100e9, 0.28e9, 0.33e9},
		{100e9, 2e9, 1.7e9, 2e9},
		{1e6, 100e9, 0, 1e6},
	} {
		got, err := lossFree(channel(tt.carries, tt.sends))
		if err != nil || got < tt.low || got > tt.high {
			t.Errorf("%.0f carried, %.0f sent: %.0f, %v", tt.carries, tt.sends, got, err)
		}
	}
	broken := errors.New("broken")
	if _, err := lossFree(func(int64) (lab.Throughput, error) { return lab.Throughput{}, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// Two losses that have other reasons do not end the search; the third in a row does.
func TestLossFreeInNoise(t *testing.T) {
	quiet := channel(1e9, 100e9)
	for _, tt := range []struct {
		noisy     int // of three measurements
		low, high float64
	}{{2, 0.85e9, 1e9}, {3, 0, 0}} {
		n := 0
		got, err := lossFree(func(bits int64) (lab.Throughput, error) {
			if n++; n%3 < tt.noisy {
				return lab.Throughput{Bits: float64(bits) / 2, Lost: 50}, nil
			}
			return quiet(bits)
		})
		if err != nil || got < tt.low || got > tt.high {
			t.Errorf("%d of 3 noisy: %.0f, %v", tt.noisy, got, err)
		}
	}
}

func TestParseDatagrams(t *testing.T) {
	got, err := parseDatagrams([]byte(`{"end": {"sum": {"bits_per_second": 2e8, "lost_percent": 25}}}`))
	if err != nil || got.Bits != 1.5e8 || got.Lost != 25 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{`{"error": "no route"}`, `{`} {
		if _, err := parseDatagrams([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", bad)
		}
	}
}
