package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const checkedToml = `[[phase1]]
name = "site"
remote_gateway = "198.51.100.2"
pre_shared_key = "a secret that is long enough"
[[phase1.phase2]]
name = "lan"
local_network = "10.1.0.0/16"
remote_network = "10.2.0.0/16"
proposals = ["aes256gcm16"]
`

const checkedSwanctl = `connections {
  site {
    remote_addrs = 198.51.100.2
    dpd_delay = 30s
    local {
      auth = psk
    }
    remote {
      auth = psk
    }
    children {
      lan {
        start_action = start
        remote_ts = 10.2.0.0/16
        local_ts = 10.1.0.0/16
        esp_proposals = aes256gcm16
      }
    }
  }
}
secrets {
  ike {
    secret = "a secret that is long enough"
  }
}
`

// check needs no daemon: it says what is wrong with a file, and what asks for trouble.
func TestCheckCommand(t *testing.T) {
	path := put(t, "goike.toml", checkedToml)
	const pfs = `phase2 "lan" has no key exchange group`
	r := run(t, "/nowhere", "check", path)
	if r.code != exitOK || r.errs != "" || !strings.HasPrefix(r.out, path+":9:14: warning: "+pfs) || !strings.HasSuffix(r.out, path+": valid, 1 phase 1, 1 phase 2, 1 warning\n") {
		t.Errorf("%+v", r)
	}
	swanctl := put(t, "swanctl.conf", checkedSwanctl)
	r = run(t, "/nowhere", "check", swanctl)
	if r.code != exitOK || !strings.Contains(r.out, swanctl+`:16:9: warning: child "lan" has no key exchange group`) {
		t.Errorf("%+v", r)
	}
	clean := put(t, "goike.toml", strings.Replace(checkedToml, "aes256gcm16", "aes256gcm16-curve25519", 1))
	if r := run(t, "/nowhere", "check", clean); r != (result{clean + ": valid, 1 phase 1, 1 phase 2, 0 warnings\n", "", exitOK}) {
		t.Errorf("%+v", r)
	}
	broken := put(t, "goike.toml", strings.Replace(checkedToml, "10.1.0.0/16", "10.1.0.0/36", 1)+"nonsense = 1\n")
	r = run(t, "/nowhere", "check", broken)
	if r.code != exitUsage || r.errs != "" || !strings.Contains(r.out, broken+":7:17: ") || !strings.HasSuffix(r.out, broken+": 2 errors\n") || strings.Contains(r.out, pfs) {
		t.Errorf("%+v", r)
	}
	if r := run(t, "/nowhere", "check", path+".missing"); r.code != exitUsage || !strings.Contains(r.out, "no such file") {
		t.Errorf("%+v", r)
	}
	charon := put(t, "strongswan.conf", "charon {\n  retransmit_tries = x\n}\n")
	if r := run(t, "/nowhere", "check", swanctl, "--strongswan-conf", charon); r.code != exitUsage || !strings.Contains(r.out, charon+":2:") {
		t.Errorf("%+v", r)
	}
	r = run(t, "/nowhere", "check", broken, "--json")
	if r.code != exitUsage || r.errs != "" || !strings.Contains(r.out, `"valid": false`) || !strings.Contains(r.out, `"line": 7`) {
		t.Errorf("%+v", r)
	}
	strictly[checked](t, r.out)
	strictly[checked](t, run(t, "/nowhere", "check", path, "--json").out)
}
