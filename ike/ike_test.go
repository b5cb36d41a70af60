package ike

import (
	"testing"
	"time"
)

func TestInstantAdd(t *testing.T) {
	for _, c := range []struct {
		at   Instant
		d    time.Duration
		want Instant
	}{
		{5, 3, 8}, {5, -3, 2}, {Never, time.Hour, Never}, {Never - 1, time.Hour, Never}, {-10, 4, -6},
	} {
		if got := c.at.Add(c.d); got != c.want {
			t.Errorf("%d + %d is %d, want %d", c.at, c.d, got, c.want)
		}
	}
	if d := Instant(10).Sub(4); d != 6 {
		t.Errorf("10 - 4 is %d", d)
	}
}

func TestEffects(t *testing.T) {
	var fx Effects
	fx.Do(Closed{})
	fx.Do(Report{Text: "x"})
	if len(fx.Actions) != 2 {
		t.Fatalf("%d actions", len(fx.Actions))
	}
	kept := fx.Actions[:2]
	fx.Reset()
	if len(fx.Actions) != 0 || kept[0] != nil || kept[1] != nil {
		t.Errorf("after Reset: %v, %v in memory", fx.Actions, kept)
	}
}
