//go:build linux

package keep

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// keyring is where the keys of files are, by generation.
type keyring interface {
	put(gen, key []byte) error
	get(gen []byte) ([]byte, error)
	forget(gen []byte)
	kind() string
}

// openKeyring takes the kernel's, or else the directory, where that is in memory alone.
func openKeyring(dir string) (keyring, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(abs))
	k := kernelKeys{prefix: "goiked:" + hex.EncodeToString(sum[:8]) + ":"}
	probe := []byte("probe")
	err = k.put(probe, probe)
	if err == nil {
		_, err = k.get(probe)
		k.forget(probe)
	}
	if err == nil {
		return k, nil
	}
	var fs unix.Statfs_t
	if e := unix.Statfs(abs, &fs); e == nil && fs.Type == unix.TMPFS_MAGIC {
		return fileKeys{abs}, nil
	}
	return nil, fmt.Errorf("the kernel's keyring cannot be used (%w), and %s is on a disk", err, dir)
}

// kernelKeys are in the keyring of the user, in the kernel's memory.
type kernelKeys struct{ prefix string }

const keyPerm = 0x3f3f0000 // all for who possesses it, and for the user

func (k kernelKeys) name(gen []byte) string { return k.prefix + hex.EncodeToString(gen) }

func (k kernelKeys) put(gen, key []byte) error {
	id, err := unix.AddKey("user", k.name(gen), key, unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		return err
	}
	return unix.KeyctlSetperm(id, keyPerm)
}

func (k kernelKeys) find(gen []byte) (int, error) {
	return unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", k.name(gen), 0)
}

func (k kernelKeys) get(gen []byte) ([]byte, error) {
	id, err := k.find(gen)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 64)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, key, 0)
	if err != nil {
		return nil, err
	}
	return key[:min(n, len(key))], nil
}

func (k kernelKeys) forget(gen []byte) {
	if id, err := k.find(gen); err == nil {
		_, _ = unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0)
	}
}

func (kernelKeys) kind() string { return "sealed by a key in the kernel's keyring" }

// fileKeys are beside the file, on a file system that is in memory alone.
type fileKeys struct{ dir string }

func (k fileKeys) path(gen []byte) string {
	return filepath.Join(k.dir, fileName+".key."+hex.EncodeToString(gen))
}

func (k fileKeys) put(gen, key []byte) error {
	f, err := os.OpenFile(k.path(gen), os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	return errors.Join(err, f.Close())
}

func (k fileKeys) get(gen []byte) ([]byte, error) {
	f, err := os.OpenFile(k.path(gen), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if err := private(f); err != nil {
		return nil, err
	}
	key := make([]byte, 33)
	n, err := f.Read(key)
	if err != nil || n != 32 {
		return nil, errDamaged
	}
	return key[:32], nil
}

func (k fileKeys) forget(gen []byte) { _ = os.Remove(k.path(gen)) }

func (fileKeys) kind() string {
	return "with its key beside it, in memory alone: the kernel's keyring cannot be used"
}
