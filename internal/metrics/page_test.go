package metrics

import (
	"math"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPage(t *testing.T) {
	var p Page
	p.Family("goike_a", Counter, "What \\ is\ncounted.")
	p.Sample(12345678901)
	p.Sample(0.5, "x", "a\"b\\c\nd", "y", "München")
	p.Sample(math.Inf(1), "x", "\xff")
	p.Family("goike_h", Histogram, "Times.")
	p.Buckets([]float64{0.001, 2}, []uint64{3, 0, 4}, 1.25)
	want := `# HELP goike_a What \\ is\ncounted.
# TYPE goike_a counter
goike_a 1.2345678901e+10
goike_a{x="a\"b\\c\nd",y="München"} 0.5
goike_a{x="` + "\uFFFD" + `"} +Inf
# HELP goike_h Times.
# TYPE goike_h histogram
goike_h_bucket{le="0.001"} 3
goike_h_bucket{le="2"} 3
goike_h_bucket{le="+Inf"} 7
goike_h_sum 1.25
goike_h_count 7
`
	if got := string(p.Bytes()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
