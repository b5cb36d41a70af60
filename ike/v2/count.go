package v2

import (
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// way is which of the four messages of an exchange is counted, in the order of the
// counters.
type way ike.Counter

const (
	requestIn way = iota
	responseIn
	requestOut
	responseOut
)

// counted are the exchanges that are counted, with the first of their counters.
var counted = map[wire.ExchangeType]ike.Counter{
	wire.IKESAInit: ike.InitRequestsIn, wire.IKEAuth: ike.AuthRequestsIn,
	wire.CreateChildSA: ike.CreateRequestsIn, wire.Informational: ike.InfoRequestsIn,
}

// countMessage counts a message of an exchange.
func countMessage(fx *ike.Effects, x wire.ExchangeType, w way) {
	if first, ok := counted[x]; ok {
		fx.Count(first + ike.Counter(w))
	}
}

// countReceived counts a message that came in; a broken one only as such.
func countReceived(fx *ike.Effects, x wire.ExchangeType, w way, broken bool) {
	if broken {
		fx.Count(ike.Invalid)
		return
	}
	countMessage(fx, x, w)
}
