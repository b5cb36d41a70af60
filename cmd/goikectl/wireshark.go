package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// keyFiles are the tables of keys of Wireshark, in a directory that it can be given as
// that of its configuration.
type keyFiles struct {
	dir             string
	ikeTable        *os.File
	espTable        *os.File
	ike, children   int
	unknown         [][2]string // whose keys were left out, and why
	ikeSeen         map[[2]uint64]bool
	saSeen          map[esp.SAID]bool
	preferencesFile *os.File
}

// Wireshark decrypts ESP only where that is asked for.
const preferences = "esp.enable_encryption_decode: TRUE\n"

func newKeyFiles(dir string) (*keyFiles, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("%s is there already; allowed: a directory that is not", dir)
		}
		return nil, err
	}
	k := &keyFiles{dir: dir, ikeSeen: make(map[[2]uint64]bool), saSeen: make(map[esp.SAID]bool)}
	var errs [3]error
	k.ikeTable, errs[0] = create(filepath.Join(dir, "ikev2_decryption_table"))
	k.espTable, errs[1] = create(filepath.Join(dir, "esp_sa"))
	k.preferencesFile, errs[2] = create(filepath.Join(dir, "preferences"))
	err := errors.Join(errs[:]...)
	if err == nil {
		_, err = k.preferencesFile.WriteString(preferences)
	}
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

// close closes the files; nil has none.
func (k *keyFiles) close() error {
	if k == nil {
		return nil
	}
	var errs []error
	for _, f := range []*os.File{k.ikeTable, k.espTable, k.preferencesFile} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// remove removes the directory and what is in it.
func (k *keyFiles) remove() error {
	if k == nil {
		return nil
	}
	return os.RemoveAll(k.dir)
}

// left tells whose keys were left out, and by which algorithm.
func (k *keyFiles) left() [][2]string {
	if k == nil {
		return nil
	}
	return k.unknown
}

// add writes keys down.
func (k *keyFiles) add(c control.Captured) error {
	switch {
	case k == nil:
		return errors.New("the daemon tells keys that it was not asked for")
	case c.IKE != nil:
		return k.addIKE(*c.IKE)
	case c.SA != nil:
		return k.addChild(*c.SA)
	}
	return nil
}

func (k *keyFiles) addIKE(keys ike.Keys) error {
	spis := [2]uint64{keys.SPIi, keys.SPIr}
	if k.ikeSeen[spis] {
		return nil
	}
	k.ikeSeen[spis] = true
	encr, known := ikeCiphers[cipher{keys.Suite.Encr.ID, keys.Suite.Encr.KeyBits}]
	integ, checked := ikeIntegrity[keys.Suite.Integ.ID]
	if !known || !checked {
		k.unknown = append(k.unknown, [2]string{fmt.Sprintf("IKE SA %016x", keys.SPIi), words(keys.Suite.Encr, keys.Suite.Integ)})
		return nil
	}
	k.ike++
	_, err := fmt.Fprintf(k.ikeTable, "%016x,%016x,%x,%x,%q,%x,%x,%q\n",
		keys.SPIi, keys.SPIr, []byte(keys.Ei), []byte(keys.Er), encr, []byte(keys.Ai), []byte(keys.Ar), integ)
	return err
}

func (k *keyFiles) addChild(sa esp.SA) error {
	if sa.ID.Proto != esp.ProtoESP || k.saSeen[sa.ID] {
		return nil // AH does not encrypt
	}
	k.saSeen[sa.ID] = true
	encr, known := espCiphers[sa.Encr.ID]
	integ, checked := espIntegrity[sa.Integ.ID]
	if !known || !checked {
		k.unknown = append(k.unknown, [2]string{fmt.Sprintf("child SA %08x", sa.ID.SPI), words(sa.Encr, sa.Integ)})
		return nil
	}
	k.children++
	family := "IPv4"
	if sa.Src.Is6() {
		family = "IPv6"
	}
	_, err := fmt.Fprintf(k.espTable, "%q,%q,%q,\"0x%08x\",%q,%q,%q,%q\n",
		family, sa.Src, sa.ID.Dst, sa.ID.SPI, encr, digits(sa.EncrKey), integ, digits(sa.IntegKey))
	return err
}

// digits are those of a key, none for none.
func digits(key crypto.Secret) string {
	if len(key) == 0 {
		return ""
	}
	return "0x" + hex.EncodeToString(key)
}

func words(encr, integ crypto.Alg) string {
	if integ == (crypto.Alg{}) {
		return encr.String()
	}
	return encr.String() + " with " + integ.String()
}

// cipher is an algorithm with the length of its key in bits.
type cipher struct{ id, bits uint16 }

// The names of algorithms in Wireshark's tables, of IKE and of ESP.
var (
	ikeCiphers   = nameCiphers()
	ikeIntegrity = map[uint16]string{
		0: "NONE [RFC4306]", crypto.IntegHMACSHA1: "HMAC_SHA1_96 [RFC2404]", crypto.IntegHMACSHA256: "HMAC_SHA2_256_128 [RFC4868]",
		crypto.IntegHMACSHA384: "HMAC_SHA2_384_192 [RFC4868]", crypto.IntegHMACSHA512: "HMAC_SHA2_512_256 [RFC4868]",
		crypto.IntegAESXCBC: "ANY 96-bits of Authentication [No Checking]", crypto.IntegAESCMAC: "ANY 96-bits of Authentication [No Checking]",
	}
	espCiphers = map[uint16]string{
		crypto.EncrNull: "NULL", crypto.EncrAESCBC: "AES-CBC [RFC3602]", crypto.EncrAESCTR: "AES-CTR [RFC3686]",
		crypto.EncrAESGCM8: "AES-GCM with 8 octet ICV [RFC4106]", crypto.EncrAESGCM12: "AES-GCM with 12 octet ICV [RFC4106]",
		crypto.EncrAESGCM16: "AES-GCM with 16 octet ICV [RFC4106]",
	}
	espIntegrity = map[uint16]string{
		0: "NULL", crypto.IntegHMACSHA1: "HMAC-SHA-1-96 [RFC2404]", crypto.IntegHMACSHA256: "HMAC-SHA-256-128 [RFC4868]",
		crypto.IntegHMACSHA384: "HMAC-SHA-384-192 [RFC4868]", crypto.IntegHMACSHA512: "HMAC-SHA-512-256 [RFC4868]",
		crypto.IntegAESXCBC: "ANY 96 bit authentication [no checking]", crypto.IntegAESCMAC: "ANY 96 bit authentication [no checking]",
	}
)

func nameCiphers() map[cipher]string {
	m := make(map[cipher]string)
	for _, bits := range []uint16{128, 192, 256} {
		m[cipher{crypto.EncrAESCBC, bits}] = fmt.Sprintf("AES-CBC-%d [RFC3602]", bits)
		m[cipher{crypto.EncrAESCTR, bits}] = fmt.Sprintf("AES-CTR-%d [RFC5930]", bits)
		for _, icv := range []struct{ octets, gcm, ccm uint16 }{
			{8, crypto.EncrAESGCM8, crypto.EncrAESCCM8}, {12, crypto.EncrAESGCM12, crypto.EncrAESCCM12}, {16, crypto.EncrAESGCM16, crypto.EncrAESCCM16},
		} {
			m[cipher{icv.gcm, bits}] = fmt.Sprintf("AES-GCM-%d with %d octet ICV [RFC5282]", bits, icv.octets)
			m[cipher{icv.ccm, bits}] = fmt.Sprintf("AES-CCM-%d with %d octet ICV [RFC5282]", bits, icv.octets)
		}
	}
	return m
}
