//go:build linux

package lab

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// As charon 5.9.8 answers.
const rawSAs = `list-sa event {site {uniqueid=1 version=2 state=ESTABLISHED local-host=192.0.2.2 local-port=4500 local-id=C=DE, CN=a b remote-host=198.51.100.2 remote-port=4500 remote-id=198.51.100.2 initiator=yes initiator-spi=50d0379c1cba6d21 responder-spi=a5a1b8a0f5a0a1d5 encr-alg=AES_GCM_16 encr-keysize=256 prf-alg=PRF_HMAC_SHA2_384 dh-group=CURVE_25519 established=1 rekey-time=13000 tasks-active=[IKE_DPD IKE_AUTH] child-sas {lan-1 {name=lan uniqueid=1 reqid=1 state=INSTALLED mode=TUNNEL protocol=ESP encap=yes spi-in=c1d2e3f4 spi-out=0a0b0c0d encr-alg=AES_GCM_16 encr-keysize=256 bytes-in=84 local-ts=[10.1.0.0/16 10.9.0.1/32[tcp/443]] remote-ts=[10.2.0.0/16]} lan2-2 {name=lan2 uniqueid=2}}}}
list-sas reply {}
`

func TestParseSAs(t *testing.T) {
	sas, err := ParseSAs(rawSAs)
	if err != nil || len(sas) != 1 {
		t.Fatal(sas, err)
	}
	sa := sas[0]
	for key, want := range map[string]string{"uniqueid": "1", "state": "ESTABLISHED", "local-id": "C=DE, CN=a b",
		"remote-id": "198.51.100.2", "rekey-time": "13000"} {
		if got := sa.Values[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if sa.Conn != "site" || len(sa.Children) != 2 || sa.Children[1].Values["name"] != "lan2" {
		t.Fatalf("%+v", sa)
	}
	lan := sa.Children[0]
	if lan.Suite() != "AES_GCM_16-256" || lan.Values["spi-out"] != "0a0b0c0d" {
		t.Errorf("%+v", lan)
	}
	if got := strings.Join(lan.Lists["local-ts"], " "); got != "10.1.0.0/16 10.9.0.1/32[tcp/443]" {
		t.Errorf("local-ts %q", got)
	}
	for _, bad := range []string{"list-sa event {a", "list-sa event {a {b=[c", "list-sa event {=x}"} {
		if _, err := ParseSAs(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestParseIperf(t *testing.T) {
	tcp, err := parseIperf([]byte(`{"end":{"sum_sent":{"bits_per_second":9e9},"sum_received":{"bits_per_second":5e9}}}`), false)
	if err != nil || tcp.Bits != 5e9 || tcp.Gbit() != "5.00 Gbit/s" {
		t.Error(tcp, err)
	}
	udp, err := parseIperf([]byte(`{"end":{"sum":{"bits_per_second":1e9,"lost_percent":25}}}`), true)
	if err != nil || udp.Bits != 0.75e9 || udp.Lost != 25 {
		t.Error(udp, err)
	}
	if _, err := parseIperf([]byte(`{"error":"no route"}`), false); err == nil || !strings.Contains(err.Error(), "no route") {
		t.Error(err)
	}
}

func serialize(t *testing.T, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestChecker(t *testing.T) {
	ether := func(k layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: k}
	}
	ip := func(src, dst string, p layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 64, SrcIP: net.ParseIP(src).To4(), DstIP: net.ParseIP(dst).To4(), Protocol: p}
	}
	v4 := func(p layers.IPProtocol, rest ...gopacket.SerializableLayer) []byte {
		return serialize(t, append([]gopacket.SerializableLayer{ether(layers.EthernetTypeIPv4), ip("192.0.2.2", "198.51.100.2", p)}, rest...)...)
	}
	udp := func(port uint16, payload ...byte) []byte {
		return v4(layers.IPProtocolUDP, &layers.UDP{SrcPort: 12345, DstPort: layers.UDPPort(port)}, gopacket.Payload(payload))
	}
	inner := serialize(t, ip("10.1.0.10", "10.2.0.10", layers.IPProtocolUDP), gopacket.Payload(make([]byte, 40)))
	plain := serialize(t, ether(layers.EthernetTypeIPv4), ip("10.1.0.10", "198.51.100.2", layers.IPProtocolUDP), gopacket.Payload(inner))
	echo := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0)}
	unreachable := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, 4)}

	esp := append([]byte{1, 2, 3, 4, 0, 0, 0, 1}, make([]byte, 32)...)
	c := Checker{Inner: []netip.Prefix{NetA4, NetB4}}
	for _, tt := range []struct {
		name string
		data []byte
		want Kind
	}{
		{"ESP", v4(layers.IPProtocolESP, gopacket.Payload(esp)), KindESP},
		{"ESP in UDP", udp(4500, esp...), KindUDPESP},
		{"IKE", udp(500, make([]byte, 28)...), KindIKE},
		{"IKE behind the marker", udp(4500, make([]byte, 32)...), KindIKE},
		{"keepalive", udp(4500, 0xff), KindAlive},
		{"ICMP error", v4(layers.IPProtocolICMPv4, unreachable, gopacket.Payload(inner[:20])), KindOther},
		{"echo", v4(layers.IPProtocolICMPv4, echo), KindBad},
		{"other port", udp(53, esp...), KindBad},
		{"nonsense on 4500", udp(4500, 1, 2), KindBad},
		{"TCP", v4(layers.IPProtocolTCP, gopacket.Payload(esp)), KindBad},
		{"IP in IP", v4(layers.IPProtocolIPv4, gopacket.Payload(inner)), KindBad},
		{"inner address", plain, KindBad},
		{"ESP that is not encrypted", v4(layers.IPProtocolESP, gopacket.Payload(append(esp[:8:8], inner...))), KindBad},
		{"ESP in UDP that is not encrypted", udp(4500, append(esp[:8:8], inner...)...), KindBad},
		{"not IP", serialize(t, ether(0x88cc), gopacket.Payload(esp)), KindBad},
		{"short", make([]byte, 3), KindBad},
	} {
		got, offence := c.Frame(tt.data)
		if got != tt.want || (got == KindBad) != (offence != "") {
			t.Errorf("%s: kind %d (%s), want %d", tt.name, got, offence, tt.want)
		}
	}
}
