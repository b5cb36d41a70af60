package conf

import (
	"strings"
	"testing"
)

func TestMetricsAddress(t *testing.T) {
	long := "unix:/" + strings.Repeat("x", maxUnixPath)
	for listen, want := range map[string]string{
		"": " ", "127.0.0.1:9814": "tcp 127.0.0.1:9814", "[::1]:1": "tcp [::1]:1", "0.0.0.0:65535": "tcp 0.0.0.0:65535", "[fe80::1%eth0]:80": "tcp [fe80::1%eth0]:80",
		"unix:/run/goike/metrics": "unix /run/goike/metrics",
		"unix:metrics":            "error: absolute", "unix:": "error: absolute", long: "error: 107 octets",
		"127.0.0.1": "error: no address", ":9814": "error: no address", "localhost:9814": "error: no address", "9814": "error: no address",
		"127.0.0.1:0": "error: 1 to 65535", "127.0.0.1:65536": "error: no address", "127.0.0.1:-1": "error: no address", "::1:9814": "error: no address",
		"[::ffff:10.0.0.1]:80": "error: 10.0.0.1:80", " 127.0.0.1:80": "error: no address",
	} {
		network, address, err := Metrics{Listen: listen}.Address()
		got := network + " " + address
		if err != nil {
			got = "error: " + err.Error()
		}
		part, fails := strings.CutPrefix(want, "error: ")
		if fails != (err != nil) || fails && !strings.Contains(got, part) || !fails && got != want {
			t.Errorf("%q: %s, want %s", listen, got, want)
		}
	}
}

func TestValidateMetrics(t *testing.T) {
	c := Default()
	c.Metrics.Listen = "localhost:80"
	found := Validate(c)
	if len(found) != 1 || found[0].Place != Daemon("metrics.listen") || found[0].Warning || !strings.Contains(found[0].Text, `"localhost:80"`) {
		t.Errorf("%+v", found)
	}
}
