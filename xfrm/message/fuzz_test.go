package message

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/goike/goike/crypto"
)

// seeds are the captured messages of a type.
func seeds(f *testing.F, types ...Type) {
	f.Helper()
	for _, name := range []string{"iproute2.txt", "kernel.txt"} {
		for _, c := range capturedIn(f, name) {
			for _, t := range types {
				if c.typ == t {
					f.Add(c.body)
				}
			}
		}
	}
}

// What was read and is written is read again as the same.
func FuzzParseState(f *testing.F) {
	seeds(f, NewSA, UpdSA)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(b)
		if err != nil {
			if s != nil {
				t.Error("an SA and an error")
			}
			return
		}
		written, err := AppendState(nil, s)
		if err != nil {
			return // the kernel's structures can hold what makes no sense
		}
		again, err := ParseState(written)
		if err != nil {
			t.Fatal(err)
		}
		want := asRead(s)
		want.Used, want.Stats, want.LastUsed = Used{}, Stats{}, 0
		want.Replay, again.Replay = nil, nil // of other lengths
		wantSame(t, "SA", again, want)
	})
}

func FuzzParsePolicy(f *testing.F) {
	seeds(f, NewPolicy, UpdPolicy)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePolicy(b)
		if err != nil {
			if p != nil {
				t.Error("a policy and an error")
			}
			return
		}
		written, err := AppendPolicy(nil, p)
		if err != nil {
			return
		}
		again, err := ParsePolicy(written)
		if err != nil {
			t.Fatal(err)
		}
		p.Used = Used{}
		if len(p.Templates) == 0 {
			p.Templates = nil
		}
		wantSame(t, "policy", again, p)
	})
}

func FuzzParseNotice(f *testing.F) {
	for _, c := range capturedIn(f, "kernel.txt") {
		f.Add(uint16(c.typ), c.body)
	}
	f.Add(uint16(MappingMsg), append(make([]byte, 20), append([]byte{2, 0, 50, 0}, make([]byte, 40)...)...))
	f.Fuzz(func(t *testing.T, typ uint16, b []byte) {
		if v, err := ParseNotice(Type(typ), b); err != nil && v != nil {
			t.Errorf("%T and %v", v, err)
		}
	})
}

// random makes values that can be written.
type random struct{ *rand.Rand }

func (r random) addr(four bool) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] |= 0x20 // not IPv4 in IPv6
	if four {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

func (r random) maybe() bool { return r.IntN(2) == 0 }

func (r random) mark() *Mark {
	if r.maybe() {
		return nil
	}
	return &Mark{r.Uint32(), r.Uint32()}
}

func (r random) ports() Ports {
	if r.maybe() {
		return Ports{}
	}
	return Ports{uint16(r.Uint32()), uint16(r.Uint32()) | 1}
}

func (r random) selector() Selector {
	four, bits, family := r.maybe(), 128, uint16(familyIPv6)
	if four {
		bits, family = 32, familyIPv4
	}
	return Selector{
		Src: netip.PrefixFrom(r.addr(four), r.IntN(bits+1)), Dst: netip.PrefixFrom(r.addr(four), r.IntN(bits+1)), Family: family,
		SrcPorts: r.ports(), DstPorts: r.ports(), Proto: uint8(r.Uint32()), IfIndex: int32(r.Uint32()), User: r.Uint32(),
	}
}

func (r random) limits() Limits {
	return Limits{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}
}

func (r random) alg() *Alg {
	if r.maybe() {
		return nil
	}
	name := make([]byte, 1+r.IntN(maxName))
	for i := range name {
		name[i] = 'a' + byte(r.IntN(26))
	}
	k := make(crypto.Secret, r.IntN(65))
	for i := range k {
		k[i] = byte(r.Uint32())
	}
	return &Alg{Name: string(name), Key: k, ICVBits: r.Uint32()}
}

func (r random) state() *State {
	four := r.maybe()
	s := &State{
		ID: ID{r.addr(four), r.Uint32(), uint8(r.Uint32())}, Src: r.addr(four), Sel: r.selector(), Limits: r.limits(),
		Seq: r.Uint32(), ReqID: r.Uint32(), Mode: Mode(r.Uint32()), Flags: Flags(r.Uint32()), ExtraFlags: ExtraFlags(r.Uint32()),
		Window: r.Uint32N(maxWindow + 1), Encr: r.alg(), Auth: r.alg(), AEAD: r.alg(), Comp: r.alg(),
		Mark: r.mark(), SetMark: r.mark(), IfID: r.Uint32(), Dir: SADir(r.Uint32()), TFCPad: r.Uint32(),
	}
	for _, a := range []*Alg{s.Encr, s.Comp} {
		if a != nil {
			a.ICVBits = 0
		}
	}
	if s.extended() || r.maybe() {
		s.Replay = &Replay{OutSeq: r.Uint32(), InSeq: r.Uint32(), Bitmap: make([]uint32, s.words())}
		if s.extended() {
			s.Replay.OutSeqHigh, s.Replay.InSeqHigh = r.Uint32(), r.Uint32()
		}
		for i := range s.Replay.Bitmap {
			s.Replay.Bitmap[i] = r.Uint32()
		}
		if len(s.Replay.Bitmap) == 0 {
			s.Replay.Bitmap = nil
		}
	}
	if r.maybe() {
		s.Encap = &Encap{uint16(r.Uint32()), uint16(r.Uint32()), r.addr(four)}
	}
	if r.maybe() {
		s.CoAddr = r.addr(four)
	}
	if r.maybe() {
		s.Offload = &OffloadDev{int32(r.Uint32()), OffloadFlags(r.Uint32())}
	}
	return s
}

func (r random) policy() *Policy {
	p := &Policy{
		Sel: r.selector(), Dir: Direction(r.Uint32()), Action: Action(r.Uint32()), Limits: r.limits(), Priority: r.Uint32(),
		Index: r.Uint32(), Flags: uint8(r.Uint32()), Mark: r.mark(), IfID: r.Uint32(), Type: uint8(r.Uint32()),
	}
	for range r.IntN(maxTemplates + 1) {
		four, family := r.maybe(), uint16(familyIPv6)
		if four {
			family = familyIPv4
		}
		p.Templates = append(p.Templates, Template{r.addr(four), r.addr(four), r.Uint32(), uint8(r.Uint32()), family, r.Uint32(), Mode(r.Uint32()), r.maybe()})
	}
	return p
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	r := random{rand.New(rand.NewPCG(1, 2))}
	for range 2000 {
		s, p := r.state(), r.policy()
		b, err := AppendState(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		gotState, err := ParseState(b)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "SA", gotState, s)
		if b, err = AppendPolicy(nil, p); err != nil {
			t.Fatal(err)
		}
		gotPolicy, err := ParsePolicy(b)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "policy", gotPolicy, p)
		if t.Failed() {
			return
		}
	}
}
