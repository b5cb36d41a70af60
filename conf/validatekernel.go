package conf

import "github.com/goike/goike/crypto"

// protocol checks what does not go together with AH, with IPComp, and with the modes.
func (v *validator) protocol(at Place, conn *Connection, c *Child) {
	mode, ipcomp := at.key("mode"), at.key("ipcomp")
	if c.Protocol == crypto.AH {
		v.ah(at, conn, c)
	}
	if c.IPComp && c.Mode == BEET {
		v.error(ipcomp, []Place{mode}, "ipcomp does not go with mode beet; allowed with it: tunnel, transport")
	}
	if c.Kernel.TFCPad != 0 && c.Protocol == crypto.ESP && (c.Mode != Tunnel || c.IPComp) {
		v.error(at.key("tfc_padding"), []Place{mode, ipcomp}, "tfc_padding needs mode tunnel without ipcomp: only there a packet tells its own length; allowed: tfc_padding = 0")
	}
}

// ah checks what AH cannot do: it protects the outer addresses, hides nothing, and no
// network card takes it over.
func (v *validator) ah(at Place, conn *Connection, c *Child) {
	protocol := at.key("protocol")
	if conn.ForceEncap {
		v.error(protocol, []Place{at.of("force_udp_encapsulation")},
			"protocol is ah, which cannot be sent in UDP as force_udp_encapsulation wants; allowed: protocol = \"esp\", or force_udp_encapsulation = false")
	}
	if c.Mode == BEET {
		v.error(protocol, []Place{at.key("mode")}, "protocol is ah, which has no mode beet; allowed with it: tunnel, transport")
	}
	if c.Kernel.TFCPad != 0 {
		v.error(at.key("tfc_padding"), []Place{protocol}, "tfc_padding is set, but protocol is ah, which pads nothing; allowed with it: no tfc_padding")
	}
	if o := c.Kernel.Offload; o == OffloadCrypto || o == OffloadPacket {
		v.error(at.key("hw_offload"), []Place{protocol}, "hw_offload is %q, but protocol is ah, which no network card does; allowed with it: \"no\", \"auto\"", o)
	}
}

// kernel checks what is asked of the data plane.
func (v *validator) kernel(at Place, c *Child, routeBased bool) {
	k := c.Kernel
	for _, m := range []struct {
		key  string
		mark Mark
	}{{"mark_in", k.MarkIn}, {"mark_out", k.MarkOut}, {"set_mark_in", k.SetMarkIn}, {"set_mark_out", k.SetMarkOut}} {
		if m.mark.Value&^m.mark.Mask != 0 {
			v.error(at.key(m.key), nil, "%s %s has bits outside of its mask; allowed: a value within the mask", m.key, m.mark)
		}
	}
	if k.MarkInSA && k.MarkIn == (Mark{}) {
		v.error(at.key("mark_in_sa"), []Place{at.key("mark_in")}, "mark_in_sa is true, but there is no mark_in; allowed: both, or mark_in_sa = false")
	}
	if k.Priority > MaxPriority {
		v.error(at.key("priority"), nil, "priority is %d; allowed: %d at most, or 0 for one that follows from the networks", k.Priority, uint32(MaxPriority))
	}
	if routeBased && (k.IfIDIn != 0 || k.IfIDOut != 0) {
		key := "if_id_in"
		if k.IfIDIn == 0 {
			key = "if_id_out"
		}
		v.error(at.key(key), []Place{Daemon("network.route_based")}, "%s is set, but network.route_based gives every connection an interface of its own; allowed: one of the two", key)
	}
}
