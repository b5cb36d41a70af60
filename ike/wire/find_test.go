package wire

import "testing"

func TestFind(t *testing.T) {
	one, two := &Nonce{Data: []byte{1}}, &Nonce{Data: []byte{2}}
	cookie := &Notify{Kind: NotifyCookie}
	idi, idr := &ID{}, &ID{Responder: true}
	tsi, tsr := &TS{}, &TS{Responder: true}
	ps := []Payload{&Notify{Kind: NotifyRekeySA}, idr, tsr, one, two, cookie, idi, tsi}
	if n, ok := Find[*Nonce](ps); !ok || n != one {
		t.Error("Nonce", n, ok)
	}
	if k, ok := Find[*KE](ps); ok || k != nil {
		t.Error("KE", k, ok)
	}
	if FindNotify(ps, NotifyCookie) != cookie || FindNotify(ps, NotifyRedirect) != nil {
		t.Error("Notify")
	}
	if FindID(ps, false) != idi || FindID(ps, true) != idr || FindID(nil, true) != nil {
		t.Error("ID")
	}
	if FindTS(ps, false) != tsi || FindTS(ps, true) != tsr || FindTS(nil, false) != nil {
		t.Error("TS")
	}
}
