package toml

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
)

// The secret of the fuzzed documents, in three forms.
const secretText = "Wq7vJx2LkRz9TfHb"

var secretLines = []string{
	"pre_shared_key = \"" + secretText + "\"", "preshared_key = '" + secretText + "'", "pre_shared_key = \"0x" + secretText + "\"",
}

// FuzzParse reads whatever comes before and behind a secret. Nothing that is said
// about it shows the secret, each error has its place, and a configuration without
// errors is one that Validate has nothing against.
func FuzzParse(f *testing.F) {
	f.Add("[[phase1]]\nname = \"site\"\nremote_gateway = \"198.51.100.2\"\n", "[[phase1.phase2]]\nname = \"lan\"\nlocal_network = \"10.1.0.0/16\"\nremote_network = [\"10.2.0.0/16[tcp/443]\"]\n", 0)
	f.Add("[[phase1]]\nname = \"\"\"\n", "\"\"\"\n", 0)
	f.Add("[[phase1]]\nidentifier = '''", "'''\n", 1)
	f.Add("[[phase1]]\n", "identifier = \"@#zz\"\npeer_identifier = \"C=CH, O=*\"\nlifetime = 3\n", 2)
	f.Add("[log]\nlevels = {", "}\n", 0)
	f.Add("phase1 = [{", "}]\n", 1)
	f.Add("[[phase1]]\nproposals = [\"aes-sha256-modp2048\", \"default\"]\nencryption = \"", "\"\n", 0)
	f.Add("[[phase1]]\nname = \"a\"\n\"", "\" = 1\n", 0)
	f.Add("[[phase1]]\npre_shared_key_file = \"x\"\n", "[retransmit]\nbase = 10\ntries = 100\ntimeout = \"1y\"\n[limits]\ntotal = 1\n", 0)
	f.Add("\xef\xbb\xbf[ipsec]\r\nunique_ids = \"keep\"\r\n#", "\xff", 0)
	f.Add("[ipsec]\nipcomp = true\n[network]\nroute_based = true\n[[phase1]]\nname = \"a\"\nremote_gateway = \"198.51.100.2\"\n",
		"[[phase1.phase2]]\nname = \"b\"\nmode = \"beet\"\nprotocol = \"ah\"\nmark_in = \"1/2\"\nset_mark_out = 7\ncopy_dscp = \"in\"\ntfc_padding = \"mtu\"\n"+
			"[[phase1.phase2]]\nname = \"c\"\nmode = \"drop\"\nlifetime = \"1h\"\nlocal_network = \"::/0\"\nremote_network = \"::/0\"\npriority = 1\n", 0)
	for _, text := range twice {
		f.Add(text+"\n", "", 0)
	}
	f.Fuzz(func(t *testing.T, before, behind string, form int) {
		if strings.Contains(before+behind, secretText) || strings.Contains(before+behind, secretText[:8]) {
			return
		}
		text := before + "\n" + secretLines[uint(form)%uint(len(secretLines))] + "\n" + behind
		config, ws, err := parse("goike.toml", []byte(text), noFiles)
		said := fmt.Sprint(ws, err)
		if strings.Contains(said, secretText[1:9]) || strings.Contains(fmt.Sprintf("%+v", config), secretText) {
			t.Fatalf("shows the secret: %s", said)
		}
		if err == nil {
			for _, finding := range conf.Validate(config) {
				if !finding.Warning {
					t.Errorf("accepted, but: %+v", finding)
				}
			}
			return
		}
		var es conf.Errors
		if !errors.As(err, &es) || len(es) == 0 || config != nil {
			t.Fatalf("%T %v, %v", err, err, config)
		}
		lines := strings.Count(text, "\n") + 1
		for i, e := range es {
			if i < maxErrors && (e.Line < 1 || e.Line > lines || e.Col < 1) || e.Text == "" || strings.Contains(e.Error(), "\n") {
				t.Errorf("%+v", e)
			}
		}
	})
}

// The parser alone, on documents without a secret in them.
func FuzzDocument(f *testing.F) {
	for _, path := range []string{"../../packaging/goike.toml", "../../README.md", "../../docs/goike.toml.5.md"} {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(document("")))
	f.Fuzz(func(t *testing.T, b []byte) {
		config, _, err := parse("goike.toml", b, noFiles)
		if (config == nil) != (err != nil) {
			t.Errorf("%v, %v", config, err)
		}
	})
}
