//go:build linux

// Package keep holds the state of IKE SAs for the process that comes after this one,
// which a restart or an upgrade of the daemon puts in its place. The file is sealed; its
// key never gets on a disk.
package keep

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// DataPlane is the SPI of what the data plane hands over, which no IKE SA has. It is for
// the next process alone: used twice it would repeat sequence numbers.
const DataPlane = 0

// MaxData is how much a record may hold; larger ones are not kept.
const MaxData = maxRecord - 64

// Record is a part of the state of an IKE SA, by the SPI that this host chose. Empty
// data: it is gone.
type Record struct {
	SPI, Part uint64
	Data      []byte // secret
}

type place struct{ spi, part uint64 }

// The file is a header and sealed records behind each other: the latest of an SPI
// counts. Each is sealed with its place, so that none can be moved or left out.
const (
	fileName   = "state"
	newSuffix  = ".new" // while it is written
	magic      = "GOIKEST1"
	genLen     = 16
	headerLen  = len(magic) + genLen
	lengthLen  = 4
	placeLen   = 16
	maxRecord  = 16 << 20
	maxFile    = 1 << 30
	compactMin = 1 << 20
	growth     = 4 // how many times of what counts the file may hold
)

// Store is the file. Its methods are safe for concurrent use.
type Store struct {
	mu      sync.Mutex // guards what follows
	dir     string
	binding []byte
	keys    keyring
	file    *os.File
	seal    cipher.AEAD
	gen     []byte
	seq     uint64
	size    int64
	live    map[place][]byte // sealed anew when the file has grown too much
	fill    int64            // octets of live
	out     []byte
}

var (
	errDamaged = errors.New("it is damaged")
	errRevoked = errors.New("it could not be written to before, and keeps nothing any more")
	errForeign = errors.New("its key is not there: it is of another machine, or of before that was started")
)

// Open opens the store of a run directory and returns what an earlier process has left,
// in no order. notice says in one line why that cannot be used, empty: it can, or there
// is none. The error says that nothing can be kept, which is no reason not to start.
func Open(dir string) (s *Store, left []Record, notice string, err error) {
	s = &Store{dir: dir, live: make(map[place][]byte)}
	if s.binding, err = bindingOf(dir); err != nil {
		return nil, nil, "", err
	}
	if s.keys, err = openKeyring(dir); err != nil {
		return nil, nil, "", err
	}
	left, oldGen, err := s.read()
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		notice = fmt.Sprintf("%s cannot be used, all is set up anew: %v", s.path(), err)
	}
	for _, r := range left {
		if r.SPI != DataPlane {
			s.note(r) // until the process says otherwise, which it may not come to
		}
	}
	err = s.begin()
	if oldGen != nil {
		s.keys.forget(oldGen)
	}
	if err != nil {
		_ = s.revoke() // err says why
		return nil, nil, notice, err
	}
	return s, left, notice, nil
}

// Kind says where the key is.
func (s *Store) Kind() string { return s.keys.kind() }

func (s *Store) path() string { return filepath.Join(s.dir, fileName) }

// read reads the file of an earlier process.
func (s *Store) read() (left []Record, gen []byte, err error) {
	f, err := os.OpenFile(s.path(), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	if err := private(f); err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, nil, err
	}
	if len(data) < headerLen || string(data[:len(magic)]) != magic {
		return nil, nil, errors.New("it is of another version")
	}
	gen = data[len(magic):headerLen]
	key, err := s.keys.get(gen)
	if err != nil {
		return nil, gen, errForeign
	}
	defer clear(key)
	aead, err := newAEAD(key)
	if err != nil {
		return nil, gen, err
	}
	left, err = s.records(aead, data)
	return left, gen, err
}

// records opens the records. What is cut off at the end was never acted upon.
func (s *Store) records(aead cipher.AEAD, data []byte) ([]Record, error) {
	latest := make(map[place][]byte)
	header, rest := data[:headerLen], data[headerLen:]
	for seq := uint64(0); len(rest) >= lengthLen; seq++ {
		n := binary.BigEndian.Uint32(rest)
		if n > maxRecord {
			return nil, errDamaged
		}
		if len(rest)-lengthLen < int(n) {
			break
		}
		plain, err := aead.Open(nil, nonce(seq), rest[lengthLen:lengthLen+int(n)], s.aad(header))
		if err != nil || len(plain) < placeLen {
			return nil, errDamaged
		}
		at := place{binary.BigEndian.Uint64(plain), binary.BigEndian.Uint64(plain[8:])}
		clear(latest[at])
		if delete(latest, at); len(plain) > placeLen {
			latest[at] = plain[placeLen:]
		}
		rest = rest[lengthLen+int(n):]
	}
	var left []Record
	for at, data := range latest {
		left = append(left, Record{at.spi, at.part, data})
	}
	return left, nil
}

func private(f *os.File) error {
	st, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !st.Mode().IsRegular() || st.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("its mode is %v; allowed: a file of mode 0600", st.Mode())
	}
	return nil
}

// begin begins a file with a key of its own, in the place of that which is there.
func (s *Store) begin() error {
	gen, key := make([]byte, genLen), make([]byte, 32)
	_, _ = rand.Read(gen)
	_, _ = rand.Read(key)
	defer clear(key)
	aead, err := newAEAD(key)
	if err != nil {
		return err
	}
	if err := s.keys.put(gen, key); err != nil {
		return err
	}
	f, err := s.create()
	if err != nil {
		s.keys.forget(gen)
		return err
	}
	old, oldGen := s.file, s.gen
	s.file, s.seal, s.gen, s.seq, s.size = f, aead, gen, 0, int64(headerLen)
	s.out = append(append(s.out[:0], magic...), gen...)
	for at, data := range s.live {
		s.append(Record{at.spi, at.part, data})
	}
	if _, err = f.Write(s.out); err == nil {
		s.size = int64(len(s.out))
		err = os.Rename(s.path()+newSuffix, s.path())
	}
	if old != nil {
		_ = old.Close()
		s.keys.forget(oldGen)
	}
	return err
}

// create creates the file under a name of its own.
func (s *Store) create() (*os.File, error) {
	name := s.path() + newSuffix
	_ = os.Remove(name)
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
}

// append seals a record behind those that are there.
func (s *Store) append(r Record) {
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, placeLen+len(r.Data)), r.SPI)
	plain = append(binary.BigEndian.AppendUint64(plain, r.Part), r.Data...)
	header := append([]byte(magic), s.gen...)
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(len(plain)+s.seal.Overhead())) //nolint:gosec // bounded by maxRecord
	s.out = s.seal.Seal(s.out, nonce(s.seq), plain, s.aad(header))
	s.seq++
	clear(plain)
}

// Write keeps records, in order, before it returns. After an error nothing is kept any
// more, nor was: what is older than what happens would be worse than nothing.
func (s *Store) Write(records []Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return errRevoked
	}
	err := s.write(records)
	if err != nil {
		_ = s.revoke() // err says why
	}
	return err
}

func (s *Store) write(records []Record) error {
	s.out = s.out[:0]
	for _, r := range records {
		if len(r.Data) > MaxData {
			r.Data = nil
		}
		s.append(r)
		s.note(r)
	}
	n, err := s.file.WriteAt(s.out, s.size)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(), err)
	}
	s.size += int64(n)
	if s.size > compactMin && s.size > growth*s.fill {
		return s.begin()
	}
	return nil
}

func (s *Store) note(r Record) {
	at := place{r.SPI, r.Part}
	old := s.live[at]
	s.fill -= int64(len(old))
	clear(old)
	if len(r.Data) == 0 {
		delete(s.live, at)
		return
	}
	s.live[at] = append([]byte(nil), r.Data...)
	s.fill += int64(len(r.Data))
}

// Usable tells whether what was written is there for the next process.
func (s *Store) Usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file != nil
}

// Remove removes the file and its key: there is nothing to take over.
func (s *Store) Remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	return s.revoke()
}

// revoke makes the store one that keeps nothing. Without its key the file is of no use,
// should it stay.
func (s *Store) revoke() error {
	if s.gen != nil {
		s.keys.forget(s.gen)
	}
	var err error
	if s.file != nil {
		err = s.file.Close()
	}
	for at, data := range s.live {
		clear(data)
		delete(s.live, at)
	}
	s.file, s.seal, s.gen, s.fill = nil, nil, nil, 0
	_ = os.Remove(s.path() + newSuffix)
	if gone := os.Remove(s.path()); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

func (s *Store) aad(header []byte) []byte {
	return append(append([]byte(nil), header...), s.binding...)
}

func nonce(seq uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 4, 12), seq) }

func newAEAD(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// bindingOf is what a file belongs to: this start of this machine, and the directory.
func bindingOf(dir string) ([]byte, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("it cannot be told which start of the machine this is: %w", err)
	}
	machine, _ := os.ReadFile("/etc/machine-id") // need not be there
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return append(append(boot, machine...), abs...), nil
}
