package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

func messageOf(local, remote string, out bool, data string) control.Captured {
	path := ike.Path{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote)}
	return control.Captured{Message: &control.CapturedMessage{At: time.Unix(1700000000, 123456000), Out: out, Path: path, Data: []byte(data)}}
}

// numbered gives things numbers, as the daemon does.
func numbered(cs ...control.Captured) []control.Captured {
	for i := range cs {
		cs[i].Number = uint64(i + 1)
	}
	return cs
}

// recordedMessages are messages, and keys in two kinds of algorithms and in one that
// Wireshark does not know.
func recordedMessages() []control.Captured {
	ikeKeys := func(spi uint64, words string) control.Captured {
		s := suite(crypto.IKE, words)
		k := &ike.Keys{SPIi: spi, SPIr: 0xb, Suite: s, Ei: crypto.Secret("\x01ei"), Er: crypto.Secret("\x02er")}
		if s.Integ != (crypto.Alg{}) {
			k.Ai, k.Ar = crypto.Secret("ai"), crypto.Secret("ar")
		}
		return control.Captured{IKE: k}
	}
	child := func(spi uint32, src, dst, words string) control.Captured {
		s := suite(crypto.ESP, words)
		sa := &esp.SA{ID: esp.SAID{Dst: netip.MustParseAddr(dst), SPI: spi, Proto: esp.ProtoESP}, Src: netip.MustParseAddr(src), Encr: s.Encr, Integ: s.Integ, EncrKey: crypto.Secret("\x03e")}
		if s.Integ != (crypto.Alg{}) {
			sa.IntegKey = crypto.Secret("\x04i")
		}
		return control.Captured{SA: sa}
	}
	return numbered(
		messageOf("192.0.2.2:500", "198.51.100.2:500", true, "first"), messageOf("192.0.2.2:4500", "198.51.100.2:61000", false, "second"),
		messageOf("[2001:db8::2]:500", "[2001:db8::1]:500", false, "third"),
		ikeKeys(0xa, "aes256gcm16-prfsha256-curve25519"), ikeKeys(0xc, "aes128-sha256-curve25519"), ikeKeys(0xd, "chacha20poly1305-prfsha256-curve25519"), ikeKeys(0xa, "aes256gcm16-prfsha256-curve25519"),
		child(0x11, "192.0.2.2", "198.51.100.2", "aes128gcm16"), child(0x12, "2001:db8::1", "2001:db8::2", "aes256-sha512"), child(0x13, "192.0.2.2", "198.51.100.2", "chacha20poly1305"),
	)
}

// pcap runs goikectl pcap until it has recorded all that the fake has.
func pcap(t *testing.T, f *fake, args ...string) result {
	t.Helper()
	path, stop := serve(t, f)
	var out, errs bytes.Buffer
	code := make(chan int, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { code <- newApp(&out, &errs).run(ctx, append([]string{"--socket", path, "pcap"}, args...)) }()
	select {
	case c := <-code:
		stop()
		return result{out.String(), errs.String(), c}
	case <-time.After(patience):
		t.Fatal("pcap does not end")
		return result{}
	}
}

func readCapture(t *testing.T, file string) (found []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		kind := layers.LayerTypeIPv4
		if data[0]>>4 == 6 {
			kind = layers.LayerTypeIPv6
		}
		p := gopacket.NewPacket(data, kind, gopacket.Default)
		udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if !ok || info.Timestamp.Unix() != 1700000000 {
			t.Fatalf("%v at %v", p, info.Timestamp)
		}
		found = append(found, p.NetworkLayer().NetworkFlow().String()+" "+udp.TransportFlow().String()+" "+strings.ReplaceAll(string(udp.Payload), "\x00", "0"))
	}
}

func TestPcap(t *testing.T) {
	f := newFake()
	f.recorded = recordedMessages()[:3]
	file := filepath.Join(t.TempDir(), "x.pcapng")
	r := pcap(t, f, file, "--count", "3")
	if r.code != exitOK || r.out != "3 messages in "+file+"\n" || r.errs != "recording IKE messages in "+file+"\n" {
		t.Errorf("%+v", r)
	}
	want := []string{
		"192.0.2.2->198.51.100.2 500->500 first", "198.51.100.2->192.0.2.2 61000->4500 0000second", "2001:db8::1->2001:db8::2 500->500 third",
	}
	if got := readCapture(t, file); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if _, err := os.Stat(file + ".keys"); !errors.Is(err, os.ErrNotExist) {
		t.Error("there are keys that nobody has asked for")
	}
	if r := pcap(t, f, file); r.code != exitFailed || !strings.Contains(r.errs, file+" is there already") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{}, {"a", "b", "c"}, {file + "2", "--count", "-1"}} {
		if r := pcap(t, f, args...); r.code != exitUsage {
			t.Errorf("%q: %+v", args, r)
		}
	}
	missing := file + "3"
	if r := pcap(t, f, missing, "nobody"); r.code != exitFailed || !strings.Contains(r.errs, `no connection "nobody"`) {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file of nothing is left")
	}
}

// The tables of keys, in the form of Wireshark's.
func TestPcapKeys(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root is told keys; run the tests as root")
	}
	f := newFake()
	all := recordedMessages()
	f.recorded = numbered(append(all[3:], all[0])...)
	file := filepath.Join(t.TempDir(), "x.pcapng")
	r := pcap(t, f, file, "--count", "1", "--decrypt")
	if r.code != exitOK || r.out != "1 message in "+file+", the keys of 2 IKE SAs and 2 child SAs in "+file+".keys\n" {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{"IKE SA 000000000000000d are left out: Wireshark cannot decrypt chacha20poly1305", "child SA 00000013 are left out"} {
		if !strings.Contains(r.errs, want) {
			t.Errorf("no %q in %s", want, r.errs)
		}
	}
	for name, want := range map[string]string{
		"ikev2_decryption_table": "000000000000000a,000000000000000b,016569,026572,\"AES-GCM-256 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n" +
			"000000000000000c,000000000000000b,016569,026572,\"AES-CBC-128 [RFC3602]\",6169,6172,\"HMAC_SHA2_256_128 [RFC4868]\"\n",
		"esp_sa": "\"IPv4\",\"192.0.2.2\",\"198.51.100.2\",\"0x00000011\",\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x0365\",\"NULL\",\"\"\n" +
			"\"IPv6\",\"2001:db8::1\",\"2001:db8::2\",\"0x00000012\",\"AES-CBC [RFC3602]\",\"0x0365\",\"HMAC-SHA-512-256 [RFC4868]\",\"0x0469\"\n",
		"preferences": "esp.enable_encryption_decode: TRUE\n",
	} {
		path := filepath.Join(file+".keys", name)
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Error(info.Mode(), err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if r := pcap(t, f, file, "--decrypt"); r.code != exitFailed || !strings.Contains(r.errs, file+".keys is there already") {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file of nothing is left")
	}
}

// What was lost is counted, and said.
func TestPcapLost(t *testing.T) {
	f := newFake()
	f.recorded = recordedMessages()[:2]
	f.recorded[1].Number = 9
	r := pcap(t, f, filepath.Join(t.TempDir(), "x"), "--count", "2")
	if r.code != exitOK || !strings.Contains(r.errs, "7 messages lost") {
		t.Errorf("%+v", r)
	}
	r = pcap(t, f, filepath.Join(t.TempDir(), "y"), "--timeout", "1s", "--json")
	if r.code != exitOK || !strings.Contains(r.out, `"messages": 2`) || !strings.Contains(r.out, `"lost": 7`) {
		t.Errorf("%+v", r)
	}
}
