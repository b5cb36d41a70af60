package plane

import (
	"context"
	"errors"
	"fmt"

	"github.com/goike/goike/esp"
)

// Check implements engine.DataPlane: this plane has ESP in tunnel and transport mode,
// with every algorithm of package esp. The rest of IPsec needs the kernel.
func (p *Plane) Check(ctx context.Context, sa esp.SA) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return refuse(&sa)
}

// refuse says what of an SA this plane cannot do.
func refuse(sa *esp.SA) error {
	if what := foreign(sa); what != "" {
		return lacking(what)
	}
	return esp.Supported(*sa)
}

func lacking(what string) error {
	return fmt.Errorf("the data plane in user space has no %s: %w", what, errors.ErrUnsupported)
}

// foreign names what only the kernel's data plane can do.
func foreign(sa *esp.SA) string {
	switch {
	case sa.Mark != esp.Mark{}:
		return "marks (mark)"
	case sa.SetMark != esp.Mark{}:
		return "marks of packets (set_mark)"
	case sa.IfID != 0:
		return "XFRM interfaces (if_id)"
	case sa.Offload == esp.OffloadCrypto:
		return "hardware offload of ciphers (crypto)"
	case sa.Offload == esp.OffloadPacket:
		return "hardware offload of packets (packet)"
	case sa.Offload > esp.OffloadPacket:
		return fmt.Sprintf("hardware offload %d", sa.Offload)
	}
	return ""
}

// refusePolicy says what of a policy this plane cannot do.
func refusePolicy(pol *esp.Policy) error {
	sa := esp.SA{Mark: pol.Mark, IfID: pol.IfID}
	what := foreign(&sa)
	switch {
	case what != "":
	case pol.Action != esp.Protect:
	case pol.IPComp:
		what = "compression (IPComp)"
	case pol.Mode > esp.Transport:
		what = "BEET mode"
	case pol.Proto == esp.ProtoAH:
		what = "AH"
	case pol.Proto != esp.ProtoESP:
		what = fmt.Sprintf("IP protocol %d", pol.Proto)
	}
	if what == "" {
		return nil
	}
	return lacking(what)
}
