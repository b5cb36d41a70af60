package crypto

import "testing"

func TestMend(t *testing.T) {
	for _, c := range []struct {
		name         string
		p            Proto
		mine, theirs string
		here, there  string // "" if no change is enough
	}{
		{"another group", IKE, "aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-ecp256", "aes256gcm16-prfsha256-ecp256", "aes256gcm16-prfsha256-curve25519"},
		{"what both have stays", IKE, "aes256-aes128-sha512-sha256-modp2048", "aes128-sha256-sha1-modp4096-modp3072",
			"aes128-sha256-modp4096", "aes128-sha256-modp2048"},
		{"combined here, classic there", ESP, "aes256gcm16", "aes256-sha256", "aes256-sha256", "aes256gcm16"},
		{"no weak one where there is another", IKE, "aes256-sha256-modp2048", "aes256-sha1-sha384-modp1024-modp3072", "aes256-sha384-modp3072", "aes256-sha256-modp2048"},
		{"only weak ones", IKE, "aes256-sha256-modp2048", "aes256-sha1-modp1024", "aes256-sha1-modp1024", "aes256-sha256-modp2048"},
		{"unknown here", IKE, "aes256-sha256-modp2048", "1/99/0-sha256-modp2048", "", "aes256-sha256-modp2048"},
		{"forward secrecy there alone", ESP, "aes256gcm16", "aes256gcm16-ecp384", "aes256gcm16-ecp384", "aes256gcm16"},
		{"forward secrecy here alone", ESP, "aes256gcm16-ecp384", "aes256gcm16", "aes256gcm16", "aes256gcm16-ecp384"},
		{"extended sequence numbers", ESP, "aes256gcm16-esn", "aes256gcm16-noesn", "aes256gcm16", "aes256gcm16-esn"},
		{"AH", AH, "sha256", "sha512", "sha512", "sha256"},
		{"nothing is offered", ESP, "aes256gcm16", "", "", "aes256gcm16"},
		{"nothing is configured", ESP, "", "aes256gcm16", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			mine, theirs := proposals(t, c.p, c.mine), proposals(t, c.p, c.theirs)
			_, _, miss := Select(mine, theirs)
			if miss == nil {
				t.Fatal("they agree")
			}
			check := func(side string, p Proposal, ok bool, want string, with []Proposal) {
				t.Helper()
				if ok != (want != "") || p.String() != want {
					t.Errorf("%s: %q, %v, want %q", side, p, ok, want)
				}
				if !ok {
					return
				}
				if _, _, miss := Select([]Proposal{p}, with); miss != nil {
					t.Errorf("%s: %q does not agree: %s", side, p, miss)
				}
			}
			here, ok := miss.MendHere()
			check("here", here, ok, c.here, theirs)
			there, ok := miss.MendThere()
			check("there", there, ok, c.there, mine)
		})
	}
}

// What protocols differ in no proposal mends.
func TestMendOtherProtocol(t *testing.T) {
	_, _, miss := Select(proposals(t, ESP, "aes256gcm16"), proposals(t, AH, "sha256"))
	if p, ok := miss.MendHere(); ok {
		t.Errorf("mended by %s", p)
	}
	if p, ok := miss.MendThere(); !ok || p.String() != "aes256gcm16" {
		t.Errorf("the peer would need %s, %v", p, ok)
	}
}
