//go:build linux

package lab

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// bootModules are what the initial RAM disk needs to mount the host's root.
var bootModules = []string{"virtio_pci", "virtiofs", "overlay", "virtio_console"}

// testModules are loaded before the tests, so that none of them pays for it or
// depends on the kernel to ask for it. One that the kernel lacks is left out.
var testModules = []string{
	"xfrm_user", "esp4", "esp6", "ah4", "ah6", "ipcomp", "ipcomp6", "xfrm4_tunnel", "xfrm6_tunnel", "tunnel6",
	"xfrm_interface", "ip_vti", "ip6_vti", "af_key",
	"authenc", "authencesn", "echainiv", "seqiv", "gcm", "ccm", "ctr", "cbc", "ghash-generic", "aesni-intel",
	"chacha20poly1305", "cmac", "xcbc", "des_generic", "camellia_generic", "sha512_generic",
	"veth", "tun", "dummy", "bridge",
	"nf_tables", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "nft_fib_inet", "nft_limit", "nft_reject_inet",
	"nft_xfrm", "nft_log",
}

// moduleTree is what depmod knows of the modules of one kernel: for each name
// its file, and the files that must be loaded before it.
type moduleTree struct {
	dir     string
	file    map[string]string
	needs   map[string][]string
	builtin map[string]bool
}

// readModules reads the lists of a directory lib/modules/VERSION.
func readModules(dir string) (*moduleTree, error) {
	t := &moduleTree{dir: dir, file: map[string]string{}, needs: map[string][]string{}, builtin: map[string]bool{}}
	err := eachLine(filepath.Join(dir, "modules.dep"), func(line string) {
		file, needs, _ := strings.Cut(line, ":")
		t.file[moduleName(file)] = file
		t.needs[file] = strings.Fields(needs)
	})
	if err != nil {
		return nil, err
	}
	return t, eachLine(filepath.Join(dir, "modules.builtin"), func(line string) { t.builtin[moduleName(line)] = true })
}

// order returns the files to load for these modules, each after those that it
// needs.
func (t *moduleTree) order(names ...string) ([]string, error) {
	var files []string
	for _, name := range names {
		name = moduleName(name)
		file, ok := t.file[name]
		if !ok && !t.builtin[name] {
			return nil, fmt.Errorf("the kernel of %s has no module %s", t.dir, name)
		}
		if !ok {
			continue
		}
		// modules.dep lists all that is needed, what is needed first being last.
		for _, f := range slices.Backward(append([]string{file}, t.needs[file]...)) {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// moduleName is the name of a module in a file name; "-" and "_" are the same.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(strings.TrimSpace(file)), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func eachLine(file string, f func(string)) error {
	b, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	lines := bufio.NewScanner(b)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f(lines.Text())
	}
	return lines.Err()
}
