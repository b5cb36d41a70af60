package swan

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
)

func settings(t *testing.T, text string) (*conf.Config, []Warning, error) {
	t.Helper()
	c, _, err := load(t, conn("", ""))
	if err != nil {
		t.Fatal(err)
	}
	ws, err := LoadCharon(filepath.Join(folder(t, "strongswan.conf", text), "strongswan.conf"), c)
	return c, ws, err
}

func TestCharon(t *testing.T) {
	c, ws, err := settings(t, `
charon {
  load_modular = yes
  retransmit_tries = 3
  retransmit_timeout = 2.5
  retransmit_base = 1.5
  cookie_threshold = 20
  cookie_threshold_ip = 7
  init_limit_half_open = 500
  make_before_break = yes
  install_routes = no
  fragment_size = 1400
  follow_redirects = no
  replay_window = 128
  port = 500
  filelog { x { path = /var/log/charon.log
    default = 0
    ike = 2 } }
  syslog { daemon { default = -1
    chd = 1 } }
  plugins { include nothing/*.conf
    aes { load = yes }
    bypass-lan { load = yes } }
}
swanctl { load = pem }
`)
	if err != nil {
		t.Fatal(err)
	}
	if want := (conf.Retransmit{Timeout: 2500 * time.Millisecond, Base: 1.5, Tries: 3}); c.Retransmit != want {
		t.Errorf("%+v", c.Retransmit)
	}
	if want := (conf.HalfOpenLimits{Cookie: 20, PerAddress: 7, Total: 500}); c.Limits != want {
		t.Errorf("%+v", c.Limits)
	}
	site := c.Connections[0]
	if !c.MakeBeforeBreak || c.Network.InstallRoutes || !c.ExcludeMyNetwork || site.FragmentSize != 1400 || site.FollowRedirects || site.Children[0].Window != 128 {
		t.Errorf("%+v %+v", c, site)
	}
	if c.Log.Level != "warn" || c.Log.Levels["ike"] != "debug" || c.Log.Levels["child"] != "info" {
		t.Errorf("%+v", c.Log)
	}
	if len(ws) != 3 { // the files that are not there, and the two kinds of loggers
		t.Error(ws)
	}
}

func TestCharonErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"port = 501", "strongswan.conf:2:1: port in charon: goike uses UDP port 500"},
		{"retransmit_tries = x", `retransmit_tries of charon is "x"; allowed: a number from 0 to 100`},
		{"retransmit_base = 0.5", "allowed: a number from 1 to 10"},
		{"retransmit_timeout = 86400\nretransmit_tries = 100", "give up a silent peer after"},
		{"fragment_size = 100", "allowed: a number from 576 to 65535"},
		{"filelog { x { default = 9\n} }", "allowed: -1 to 4"},
	} {
		_, _, err := settings(t, "charon {\n"+c.text+"\n}")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.text, err, c.want)
		}
	}
}

// Without a limit, and without protection, are as many as goike can count.
func TestCharonLimits(t *testing.T) {
	for text, want := range map[string]conf.HalfOpenLimits{
		"cookie_threshold = 0":                           {Cookie: conf.DefaultLimits.Total, PerAddress: conf.DefaultLimits.PerAddress, Total: conf.DefaultLimits.Total},
		"dos_protection = no":                            {Cookie: conf.DefaultLimits.Total, PerAddress: conf.DefaultLimits.Total, Total: conf.DefaultLimits.Total},
		"init_limit_half_open = 10":                      {Cookie: 10, PerAddress: 10, Total: 10},
		"init_limit_half_open = 0\ncookie_threshold = 5": {Cookie: 5, PerAddress: conf.DefaultLimits.PerAddress, Total: maxHalfOpen},
	} {
		c, _, err := settings(t, "charon {\n"+text+"\n}")
		if err != nil || c.Limits != want {
			t.Errorf("%s: %+v, %v", text, c.Limits, err)
		}
	}
}

// Every setting of the manual page is known: it changes something, or is said not to.
func TestEverySetting(t *testing.T) {
	for _, name := range optionNames(t, "charon.txt") {
		parts := strings.Split(strings.NewReplacer("<name>", "x", "<facility>", "daemon", "<subsystem>", "knl").Replace(name), ".")[1:]
		text, end := "", ""
		for _, section := range parts[:len(parts)-1] {
			text, end = text+section+" {\n", end+"\n}"
		}
		text += parts[len(parts)-1] + " = 7" + end
		_, ws, err := settings(t, "charon {\n"+text+"\n}")
		for _, w := range ws {
			if strings.Contains(w.Text, "no setting") {
				t.Errorf("%s: %s", name, w)
			}
		}
		if known := charonOptions; err == nil && len(ws) == 0 && !isEffective(known, parts[0]) && parts[0] != "load_modular" {
			t.Errorf("%s is passed over in silence", name)
		}
	}
	_, ws, err := settings(t, "charon {\nretransmit_trys = 7\nplugin { }\n}")
	if err != nil || len(ws) != 2 || !strings.Contains(ws[0].Text, "did you mean retransmit_tries?") || !strings.Contains(ws[1].Text, "did you mean plugins?") {
		t.Error(ws, err)
	}
}

func isEffective(table []option[*charon], name string) bool {
	for _, k := range table {
		if k.name == name {
			return k.read != nil
		}
	}
	return name == "syslog" || name == "filelog"
}
