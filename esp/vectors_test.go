package esp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/seal"
)

// givenIV is a Sealer whose explicit IV of 8 octets is the one of a test vector.
type givenIV struct {
	seal.Sealer
	iv uint64
}

func (g givenIV) Seal(pkt []byte, head int, esn []byte, _ uint64) {
	g.Sealer.Seal(pkt, head, esn, g.iv)
}

// bareCBC is AES-CBC with a given IV and without integrity: what RFC 3602 shows. No SA
// can have it.
type bareCBC struct {
	block cipher.Block
	iv    []byte
}

func (bareCBC) IVLen() int  { return aes.BlockSize }
func (bareCBC) ICVLen() int { return 0 }
func (bareCBC) Align() int  { return aes.BlockSize }

func (b bareCBC) Seal(pkt []byte, head int, _ []byte, _ uint64) {
	data := pkt[head+copy(pkt[head:], b.iv):]
	cipher.NewCBCEncrypter(b.block, b.iv).CryptBlocks(data, data)
}

func (b bareCBC) Open(pkt []byte, head int, _ []byte) ([]byte, error) {
	data := pkt[head+aes.BlockSize:]
	cipher.NewCBCDecrypter(b.block, pkt[head:head+aes.BlockSize]).CryptBlocks(data, data)
	return data, nil
}

// TestRFC3602 seals and opens the ESP packets of RFC 3602, 4, cases 5 to 8: transport
// and tunnel mode, byte for byte.
func TestRFC3602(t *testing.T) {
	key56, key78 := "90d382b410eeba7ad938c46cec1a82bf", "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		name, key, iv string
		mode          Mode
		plain, packet string // the whole IP packet; the ESP packet
	}{
		{"case 5", key56, "e96e8c08ab465763fd098d45dd3ff893", Transport,
			`45000054 08f20000 4001f9fe c0a87b03 c0a87b64
			08000ebd a70a0000 8e9c083d b95b0700 08090a0b 0c0d0e0f 10111213 14151617
			18191a1b 1c1d1e1f 20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637`,
			`00004321 00000001 e96e8c08 ab465763 fd098d45 dd3ff893
			f663c25d 325c18c6 a9453e19 4e120849 a4870b66 cc6b9965 330013b4 898dc856
			a4699e52 3a55db08 0b59ec3a 8e4b7e52 775b07d1 db34ed9c 538ab50c 551b874a
			a269add0 47ad2d59 13ac19b7 cfbad4a6`},
		{"case 6", key56, "69d08df7d203329db093fc4924e5bd80", Transport,
			`45000030 08fe0000 4001fa16 c0a87b03 c0a87b64
			0800b5e8 a80a0500 a69c083d 0b660e00 77777777 77777777 77777777`,
			`00004321 00000008 69d08df7 d203329d b093fc49 24e5bd80
			f5199588 1ec4e0c4 488987ce 742e8109 689bb379 d2d750c0 d915dca3 46a89f75`},
		{"case 7", key78, "f4e765244f6407adf13dc1380f673f37", Tunnel,
			`45000054 09040000 4001f988 c0a87b03 c0a87bc8 08009f76 a90a0100 b49c083d
			02a20400 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f 20212223
			24252627 28292a2b 2c2d2e2f 30313233 34353637`,
			`00008765 00000002 f4e76524 4f6407ad f13dc138 0f673f37
			773b5241 a4c44922 5e4f3ce5 ed611b0c 237ca96c f74a9301 3c1b0ea1 a0cf70f8
			e4ecaec7 8ac53aad 7a0f022b 859243c6 47752e94 a859352b 8a4d4d2d ecd136e5
			c177f132 ad3fbfb2 201ac990 4c74ee0a 109e0ca1 e4dfe9d5 a100b842 f1c22f0d`},
		{"case 8", key78, "85d47224b5f3dd5d2101d4ea8dffab22", Tunnel,
			`45000044 090c0000 4001f990 c0a87b03 c0a87bc8 0800d63c aa0a0200 c69c083d
			a3de0300 ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff
			ffffffff`,
			`00008765 00000005 85d47224 b5f3dd5d 2101d4ea 8dffab22
			15b92683 819596a8 047232cc 00f7048f e45318e1 1f8a0f62 ede3c3fc 61203bb5
			0f980a08 c9843fd3 a1b06d5c 07ff9639 b7eb7dfb 3512e5de 435e7207 ed971ef3
			d2726d9b 5ef6affc 6d17a0de cbb13892`},
	} {
		plain, packet := unhex(t, c.plain), unhex(t, c.packet)
		block, err := aes.NewCipher(unhex(t, c.key))
		if err != nil {
			t.Fatal(err)
		}
		sa := suiteOf(t, "aes128-sha256").sa()
		sa.ID.SPI, sa.Mode = binary.BigEndian.Uint32(packet), c.mode
		p := newPair(t, sa)
		p.in.sealer = bareCBC{block, unhex(t, c.iv)}
		p.out.sealer = p.in.sealer
		p.in.shape = shapeOf(p.in.sealer)
		p.out.shape = p.in.shape

		buf, off := room(plain)
		got, _, err := p.in.Seal(buf, off, len(plain), uint64(packet[7]))
		if err != nil || !bytes.Equal(got, packet) {
			t.Errorf("%s sealed: %x, %v\nwant %x", c.name, got, err, packet)
		}
		buf, off = room(packet)
		inner, err := p.out.Open(buf, off, len(packet), uint64(packet[7]), Inbound{
			Src: netip.AddrFrom4([4]byte(plain[12:16])), Dst: netip.AddrFrom4([4]byte(plain[16:20])), TTL: 64,
		})
		if err != nil {
			t.Errorf("%s opened: %v", c.name, err)
			continue
		}
		if c.mode == Transport {
			// The identification is that of the outer header and is not carried over.
			parse(t, inner)
			inner, plain = inner[ip4Len:], plain[ip4Len:]
		}
		if !bytes.Equal(inner, plain) {
			t.Errorf("%s opened: %x\nwant %x", c.name, inner, plain)
		}
	}
}

// TestRFC7634 seals and opens the ESP packet of RFC 7634, appendix A, in tunnel mode.
func TestRFC7634(t *testing.T) {
	sa := suiteOf(t, "chacha20poly1305").sa()
	sa.ID.SPI = 0x01020304
	sa.EncrKey = append(testKey(32, 0x80), 0xa0, 0xa1, 0xa2, 0xa3)
	inner := unhex(t, `45 00 00 54 a6 f2 00 00 40 01 e7 78 c6 33 64 05
		c0 00 02 05 08 00 5b 7a 3a 08 00 00 55 3b ec 10
		00 07 36 27 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13
		14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23
		24 25 26 27 28 29 2a 2b 2c 2d 2e 2f 30 31 32 33
		34 35 36 37`)
	packet := unhex(t, `01 02 03 04 00 00 00 05 10 11 12 13 14 15 16 17
		24 03 94 28 b9 7f 41 7e 3c 13 75 3a 4f 05 08 7b
		67 c3 52 e6 a7 fa b1 b9 82 d4 66 ef 40 7a e5 c6
		14 ee 80 99 d5 28 44 eb 61 aa 95 df ab 4c 02 f7
		2a a7 1e 7c 4c 4f 64 c9 be fe 2f ac c6 38 e8 f3
		cb ec 16 3f ac 46 9b 50 27 73 f6 fb 94 e6 64 da
		91 65 b8 28 29 f6 41 e0 76 aa a8 26 6b 7f b0 f7
		b1 1b 36 99 07 e1 ad 43`)
	p := newPair(t, sa)
	p.in.sealer = givenIV{p.in.sealer, 0x1011121314151617}
	buf, off := room(inner)
	got, _, err := p.in.Seal(buf, off, len(inner), 5)
	if err != nil || !bytes.Equal(got, packet) {
		t.Fatalf("sealed: %x, %v\nwant %x", got, err, packet)
	}
	if seq, ok := p.rx.Check(packet); seq != 5 || !ok {
		t.Fatalf("sequence number %d, %v", seq, ok)
	}
	opened, err := p.open(packet, Inbound{})
	if err != nil || !bytes.Equal(opened, inner) {
		t.Fatalf("opened: %x, %v", opened, err)
	}
}

// TestMcGrew seals and opens the AES-GCM packets of draft-mcgrew-gcm-test-01, 4. Their
// next header is ICMP whatever they carry, so that they are of transport mode here.
// A sequence number of 16 digits is an extended one.
func TestMcGrew(t *testing.T) {
	for i, c := range []struct{ key, nonce, seq, plain, packet string }{
		{"4c80cdefbb5d10da906ac73c3613a634", "2e443b684956ed7e3b244cfe", "8765432100000000",
			`45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000
			00000000045f736970045f756470037369700963796265726369747902646b00
			0021000101020201`,
			`00004321000000004956ed7e3b244cfefecf537e729d5b07dc30df528dd22b76
			8d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1f4a13c5d
			15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe72
			2fd04796562dfdb4`},
		{"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "0000000a",
			`4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d00100
			0001000000000000037369700963796265726369747902646b00000100010001`,
			`0000a5f80000000afacedbaddecaf888deb22cd9b07c72c16e3a65beeb8df304
			a5a5897d33ae530f1ba76d5d114d2a5c3de81827c10e9a4f51330d0eec416642
			cfbb85a5b47e48a4ec3b9ba95d918bd183b70d3aa8bc6ee4c309e9d85a41ad4a`},
		{"abbccddef00112233445566778899aababbccddef00112233445566778899aab", "112233440102030405060708", "00000002",
			`4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000
			7002400020bf0000020405b40101040201020201`,
			`4a2cbfe3000000020102030405060708ff425c9b724599df7a3bcd510194e00d
			6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f0545659f14e99d
			ef842d8eb335f4eecfdbf831824b4c4915956c96`},
		{"00000000000000000000000000000000", "000000000000000000000000", "00000001",
			`4500003c99c500008001cb7a40679318010101010800075c0200440061626364
			65666768696a6b6c6d6e6f707172737475767761626364656667686901020201`,
			`000000000000000100000000000000004688daf2f973a392732909c331d56d60
			f694abaa414b5e7ff5fdcdfff5e9a284456476492719ffb64de7d9dca1e1d894
			bc3bd57873ed4d181d19d4d5c8c18af3f821d496eeb096e98ad2b69e4799c71d`},
		{"3de09874b388e6491988d0c3607eae1f", "57690e434e280000a2fca1a3", "1010101010101010",
			`4500003c99c300008001cb7c40679318010101010800085c0200430061626364
			65666768696a6b6c6d6e6f707172737475767761626364656667686901020201`,
			`42f67e3f101010104e280000a2fca1a3fba2caa4853cf9f0f22cb10d86dd83b0
			fec75691cf1a04b00d1138ec9c35791765acbd8701ad79845bf9fe3fba487bc9
			1755e6662b4c8d0d1f5e22739530320ae0d731cc978ecafaeae88f00e80d6e48`},
		{"3de09874b388e6491988d0c3607eae1f", "57690e434e280000a2fca1a3", "1010101010101010",
			`4500001c42a200008001441f406793b6e00000020a00f5ff01020201`,
			`42f67e3f101010104e280000a2fca1a3fba2ca845e5df9f0f22c3e6e86dd831e
			1fc65792cd1af9130e1379ed369f071f35e034be95f112e4e7d05d35`},
		{"feffe9928665731c6d6a8f9467308308feffe9928665731c", "cafebabefacedbaddecaf888", "0000000a",
			`45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e
			501016d075680001`,
			`0000a5f80000000afacedbaddecaf888a5b1f8066029aea40e598b8122de0242
			0938b3ab33f828e687b8858b5bfbdbd0315b27452144cc7795457b9652037f53
			18027b5b4cd7a636`},
		{"abbccddef00112233445566778899aab", "decaf888cafedebaceface74", "0000000000000001",
			`4500004933ba00007f119106c3fb1d10c2b1d326c02831ce0035dd7b800302d5
			00004e20001e8c18d75b81dc91baa0476b91b924b280389d92c963bac046ec95
			9b6266c04722b14923010101`,
			`0000010000000001cafedebaceface7418a6fd42f72cbf4ab2a2ea901f73d814
			e3e7f243d95412e1c349c1d2fbec168f9190feebaf2cb01984e65863965d7472
			b79da345e0e780191f0d2f0e0f496c226f2127b27db35724e7845d68651f57e6
			5f354f75ff17015769623436`},
		{"abbccddef00112233445566778899aababbccddef00112233445566778899aab", "73616c74616e640169766563", "156f3126dd0db99b",
			`45080028732c00004006e9f90a0106120a01038f06b88023dd6bafbecb712602
			50101f646d540001`,
			`17405e67dd0db99b616e640169766563f2d69ecdbd5a0d5b8d5ef38bad4da58d
			1f278fde98ef67549d524a3018d9a57ff4d3a31ce673119e451626c2415771e3
			b7eebca614c89b35`},
		{"3de09874b388e6491988d0c3607eae1f", "57690e434e280000a2fca1a3", "1010101010101010",
			`45000049333e00007f119182c3fb1d10c2b1d326c02831ce0035cb458003025b
			000001e0001e8c18d65759d52284a0352c71475c8880391c764d6e5ee0496b32
			5ae270c03899493915010101`,
			`42f67e3f101010104e280000a2fca1a3fba2cad12fc1f9f00d3cebf305410db8
			3d7784b607323d220f24b0a97d54182800cadb0f68d99ef0e0c0c89ae9bea888
			4e52d65bc1afd0740f742444747b5b39ab533163aad4550ee5160975cdb608c5
			769189609763b8e18caa81e2`},
		{"abbccddef00112233445566778899aababbccddef00112233445566778899aab", "73616c74616e640169766563", "156f3126dd0db99b",
			`636973636f0172756c657301746865016e6574776501646566696e6501746865
			746563686e6f6c6f67696573017468617477696c6c01646566696e65746f6d6f
			72726f7701020201`,
			`17405e67dd0db99b616e640169766563d4b7ed86a1777f2ea13d6973d324c69e
			7b43f826fb56831226508bebd2dceb18d0a6df10e5487df074113e14c641024e
			3e6773d91a62ee429b043a10e3efe6b012a49363412364f8c0cac587f249e56b
			11e24f30e44ccc76`},
		{"7d773d00c144c525ac619d18c84a3f47", "d966426743457e9182443bc6", "ffffffff",
			`01020201`,
			`335467aeffffffff43457e9182443bc6437f866bcb3f699fe9b0822bac961c45
			04bef270`},
		{"abbccddef00112233445566778899aab", "decaf888cafedebaceface74", "0000000000000001",
			`746f016265016f72016e6f7401746f0162650001`,
			`0000010000000001cafedebaceface7429c9fc69a197d038ccdd14e2ddfcaa05
			43332164412503524303ed3c6c5f283843af8c3e`},
		{"6c6567616c697a656d6172696a75616e61616e64646f69746265666f72656961", "7475726e333021696765746d", "ffffffffffffffff",
			`45000030da3a00008001df3bc0a80005c0a800010800c6cd0200070061626364
			65666768696a6b6c6d6e6f707172737401020201`,
			`796b6963ffffffff333021696765746df97ab2aa356d8edce17644ac8c78e25d
			d24dedbb29ebf1b64a274b39b49c3a864cd3d78ca4ae68a32b42458fb57dbe82
			1dcc63b9d0937ba2945f669368661a329fb4c053`},
	} {
		key, nonce, seqBytes := unhex(t, c.key), unhex(t, c.nonce), unhex(t, c.seq)
		plain, packet := unhex(t, c.plain), unhex(t, c.packet)
		var seq uint64
		for _, b := range seqBytes {
			seq = seq<<8 | uint64(b)
		}
		s := suite{encr: crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: uint16(len(key) * 8)}}
		sa := s.sa()
		sa.EncrKey = append(key, nonce[:4]...)
		sa.ESN, sa.Mode = len(seqBytes) == 8, Transport
		p := newPair(t, sa)
		p.in.sealer = givenIV{p.in.sealer, binary.BigEndian.Uint64(nonce[4:])}
		p.in.spi = binary.BigEndian.Uint32(packet) // one is 0, which no SA can have

		pad := int(plain[len(plain)-2])
		payload := plain[:len(plain)-2-pad]
		buf, off := room(payload)
		got, err := p.in.wrap(buf, off, len(payload), 0, plain[len(plain)-1], seq)
		if err != nil || !bytes.Equal(got, packet) {
			t.Errorf("case %d sealed: %x, %v\nwant %x", i+1, got, err, packet)
		}
		p.rx.seen.top = seq - min(seq, 20)
		if found, ok := p.rx.Check(packet); found != seq || ok != (seq != 0) {
			t.Errorf("case %d: sequence number %#x, %v", i+1, found, ok)
		}
		buf, off = room(packet)
		inner, err := p.out.Open(buf, off, len(packet), seq, Inbound{Src: host4a, Dst: host4b, TTL: 9})
		if err != nil || !bytes.Equal(inner[ip4Len:], payload) {
			t.Errorf("case %d opened: %x, %v", i+1, inner, err)
		}
	}
}
