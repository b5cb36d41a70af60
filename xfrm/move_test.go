//go:build linux

package xfrm

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// The same SA once more keeps its sequence numbers: none may be used twice under one key.
func TestSameSAAgain(t *testing.T) {
	b := newBed(t)
	in, out := inSA(0x5000), outSA(0x6000)
	b.apply(esp.AddSA{SA: in}, esp.AddSA{SA: out})
	b.use(in.ID, 10, 0)
	b.use(out.ID, 0, 20)
	b.apply(esp.AddSA{SA: in}, esp.AddSA{SA: out})
	sas, _ := b.k.snapshot()
	if st := sas[kernelID(in.ID)]; st.Replay.InSeq != 10 || st.Replay.Bitmap[0] != 0xff {
		t.Errorf("the replay window begins anew: %+v", st.Replay)
	}
	if st := sas[kernelID(out.ID)]; st.Replay.OutSeq != 20+gap {
		t.Errorf("the next sequence number is %d", st.Replay.OutSeq)
	}
	if u, err := b.Query(t.Context(), out.ID); err != nil || u.Packets != 3 {
		t.Errorf("%+v %v", u, err)
	}
	out.EncrKey = key(gcm, 9)
	b.apply(esp.AddSA{SA: out})
	sas, _ = b.k.snapshot()
	if st := sas[kernelID(out.ID)]; st.Replay.OutSeq != 0 || !slices.Equal(st.AEAD.Key, out.EncrKey) {
		t.Errorf("another key: %+v", st.Replay)
	}
}

// use lets an SA have carried something.
func (b *bed) use(id esp.SAID, in, out uint32) {
	b.k.mu.Lock()
	defer b.k.mu.Unlock()
	st := &b.k.sas[kernelID(id)].State
	st.Replay.InSeq, st.Replay.OutSeq, st.Replay.Bitmap[0] = in, out, 0xff
	st.Used.Bytes, st.Used.Packets = 300, 3
	st.Stats = message.Stats{ReplayWindow: 1, Replay: 2, IntegrityFailed: 4}
	st.LastUsed = uint64(time.Now().Unix() - 5)
}

func TestQuery(t *testing.T) {
	b := newBed(t)
	in := inSA(0x5000)
	in.Mark = esp.Mark{Value: 3, Mask: 0xff}
	b.apply(esp.AddSA{SA: in})
	if u, err := b.Query(t.Context(), in.ID); err != nil || u.LastUse >= 0 || u.Bytes != 0 {
		t.Errorf("%+v %v", u, err)
	}
	b.use(in.ID, 3, 0)
	u, err := b.Query(t.Context(), in.ID)
	if err != nil || u.Bytes != 300 || u.Packets != 3 || u.Replayed != 3 || u.AuthFailed != 4 || u.LastUse < 4*time.Second || u.LastUse > time.Minute {
		t.Errorf("%+v %v", u, err)
	}
	if _, err := b.Query(t.Context(), outSA(1).ID); err == nil {
		t.Error("an SA that is not there was queried")
	}
}

// Kernels before 6.2 do not tell when an SA was used.
func TestLastUseUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		in := inSA(0x5000)
		b.apply(esp.AddSA{SA: in})
		for _, c := range []struct {
			packets uint64
			want    time.Duration
		}{{0, -1}, {3, 0}, {3, time.Minute}, {4, 0}} {
			b.k.mu.Lock()
			b.k.sas[kernelID(in.ID)].Used.Packets = c.packets
			b.k.mu.Unlock()
			if u, err := b.Query(t.Context(), in.ID); err != nil || u.LastUse != c.want {
				t.Errorf("%d packets: %v %v, want %v", c.packets, u.LastUse, err, c.want)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestMove(t *testing.T) {
	b := newBed(t)
	in, out := inSA(0x5000), outSA(0x6000)
	in.Encap, out.Encap = &esp.Encap{Local: 4500, Remote: 4500}, &esp.Encap{Local: 4500, Remote: 4500}
	in.Limits = esp.Limits{HardBytes: 1000, HardTime: time.Hour}
	b.apply(append([]esp.Op{esp.AddSA{SA: in}, esp.AddSA{SA: out}}, adds(policies(1, 1000))...)...)
	b.use(in.ID, 10, 0)
	b.use(out.ID, 0, 20)
	to := &esp.Encap{Local: 4500, Remote: 1025}
	b.k.counted()
	b.apply(esp.MoveSA{ID: in.ID, Src: there, Dst: here, Encap: to}, esp.MoveSA{ID: out.ID, Src: here, Dst: there, Encap: to})
	if _, asked := b.k.counted(); slices.Contains(asked, message.NewSA) || slices.Contains(asked, message.DelSA) {
		t.Errorf("for other ports it asked %v", asked)
	}
	sas, _ := b.k.snapshot()
	if st := sas[kernelID(in.ID)]; st.Encap.SrcPort != 1025 || st.Replay.InSeq != 10 {
		t.Errorf("%+v", st)
	}
	elsewhere := netip.MustParseAddr("203.0.113.9")
	b.apply(esp.MoveSA{ID: in.ID, Src: elsewhere, Dst: here, Encap: to}, esp.MoveSA{ID: out.ID, Src: here, Dst: elsewhere})
	sas, _ = b.k.snapshot()
	st := sas[kernelID(in.ID)]
	if st.Src != elsewhere || st.Replay.InSeq != 10 || st.Limits.HardBytes != 700 || !slices.Equal(st.AEAD.Key, in.EncrKey) {
		t.Errorf("%+v", st)
	}
	if st.Limits.HardAdd != 1 {
		t.Errorf("its age is forgotten: %d", st.Limits.HardAdd)
	}
	moved := esp.SAID{Dst: elsewhere, SPI: out.ID.SPI, Proto: esp.ProtoESP}
	if st := sas[kernelID(moved)]; st.Replay == nil || st.Replay.OutSeq != 20+gap || st.Encap != nil {
		t.Errorf("%+v", st)
	}
	if len(sas) != 2 {
		t.Errorf("%d SAs", len(sas))
	}
	if u, err := b.Query(t.Context(), in.ID); err != nil || u.Bytes != 300 || u.AuthFailed != 4 {
		t.Errorf("%+v %v", u, err)
	}
	b.apply(esp.MoveSA{ID: out.ID, Src: here, Dst: elsewhere}) // once more
	b.refused("it is not there", esp.MoveSA{ID: outSA(0x7777).ID, Src: here, Dst: elsewhere})
	b.refused("addresses", esp.MoveSA{ID: in.ID, Src: here, Dst: netip.MustParseAddr("::1")})
	b.apply(esp.DelSA{ID: in.ID}, esp.DelSA{ID: moved})
	if sas, _ := b.k.snapshot(); len(sas) != 0 {
		t.Errorf("%d SAs", len(sas))
	}
}

// An SA that was moved without ESN near the end of its numbers sends no more.
func TestCarryAtTheEnd(t *testing.T) {
	for _, c := range []struct {
		flags           message.Flags
		seq, high       uint32
		want, wantsHigh uint32
	}{
		{0, 0, 0, 0, 0}, {0, 1, 0, 1 + gap, 0}, {0, 0xffff_fff0, 0, 0xffff_ffff, 0},
		{message.ESN, 0xffff_fff0, 3, 0xfff0, 4}, {message.ESN, 0, 3, gap, 3},
	} {
		was := &message.State{Flags: c.flags, Replay: &message.Replay{OutSeq: c.seq, OutSeqHigh: c.high}}
		st := &message.State{Flags: c.flags}
		carry(st, was, esp.Out)
		if st.Replay.OutSeq != c.want || st.Replay.OutSeqHigh != c.wantsHigh {
			t.Errorf("%+v: %d, %d", c, st.Replay.OutSeqHigh, st.Replay.OutSeq)
		}
	}
}
