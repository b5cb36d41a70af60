package conf

import (
	"reflect"
	"testing"
)

// A change of any setting is seen, so that no new one is forgotten.
func TestDiffSettings(t *testing.T) {
	if got := DiffSettings(Default(), Default()); len(got) > 0 {
		t.Errorf("compared with itself: %v", got)
	}
	for field := range reflect.TypeFor[Config]().NumField() {
		name := reflect.TypeFor[Config]().Field(field).Name
		if name == "Connections" {
			continue
		}
		c := Default()
		touch(t, reflect.ValueOf(c).Elem().Field(field))
		if got := DiffSettings(Default(), c); len(got) != 1 {
			t.Errorf("Config.%s changed: %v", name, got)
		}
	}
}
