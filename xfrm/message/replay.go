package message

import "fmt"

// extended says whether the replay state is that of large windows and ESN.
func (s *State) extended() bool { return s.Flags&ESN != 0 || s.Window > maxOldWindow }

// words is the length of the bitmap.
func (s *State) words() int {
	if !s.extended() {
		return 1
	}
	return int(s.Window+bitsOfWord-1) / bitsOfWord
}

func (s *State) checkReplay() error {
	if s.Window > maxWindow {
		return fmt.Errorf("a replay window of %d packets, at most %d are possible", s.Window, maxWindow)
	}
	if s.Replay != nil && s.Replay.Bitmap != nil && len(s.Replay.Bitmap) != s.words() {
		return fmt.Errorf("a replay window of %d packets has a bitmap of %d words, not %d", s.Window, s.words(), len(s.Replay.Bitmap))
	}
	return nil
}

// appendReplay appends the state of the sequence numbers, if it is not in the
// structure. ESN cannot do without.
func appendReplay(b []byte, s *State) []byte {
	switch {
	case s.extended():
		return appendReplayESN(b, s)
	case s.Replay != nil:
		b, p := attribute(b, attrReplay, sizeReplay)
		native.PutUint32(p, s.Replay.OutSeq)
		native.PutUint32(p[4:], s.Replay.InSeq)
		for _, w := range s.Replay.Bitmap {
			native.PutUint32(p[8:], w)
		}
		return b
	}
	return b
}

func appendReplayESN(b []byte, s *State) []byte {
	words := s.words()
	b, p := attribute(b, attrReplayESN, sizeReplayESN+4*words)
	native.PutUint32(p, uint32(words))
	native.PutUint32(p[20:], s.Window)
	if r := s.Replay; r != nil {
		native.PutUint32(p[4:], r.OutSeq)
		native.PutUint32(p[8:], r.InSeq)
		native.PutUint32(p[12:], r.OutSeqHigh)
		native.PutUint32(p[16:], r.InSeqHigh)
		for i, w := range r.Bitmap {
			native.PutUint32(p[sizeReplayESN+4*i:], w)
		}
	}
	return b
}

func readReplay(s *State, p []byte) {
	s.Replay = &Replay{OutSeq: native.Uint32(p), InSeq: native.Uint32(p[4:]), Bitmap: []uint32{native.Uint32(p[8:])}}
}

func readReplayESN(s *State, p []byte) error {
	words := native.Uint32(p)
	r := &Replay{OutSeq: native.Uint32(p[4:]), InSeq: native.Uint32(p[8:]), OutSeqHigh: native.Uint32(p[12:]), InSeqHigh: native.Uint32(p[16:])}
	s.Window, s.Replay = native.Uint32(p[20:]), r
	p = p[sizeReplayESN:]
	if words > maxWindow/bitsOfWord {
		return fmt.Errorf("a replay window of %d words", words)
	}
	if len(p) == 0 { // none came, or the kernel takes it for empty
		return nil
	}
	if err := atLeast(p, int(words)*4); err != nil {
		return fmt.Errorf("the replay window: %w", err)
	}
	r.Bitmap = make([]uint32, words)
	for i := range r.Bitmap {
		r.Bitmap[i] = native.Uint32(p[4*i:])
	}
	return nil
}
