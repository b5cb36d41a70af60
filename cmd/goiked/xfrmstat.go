//go:build linux

package main

import (
	"bytes"
	"os"
	"strconv"
)

// xfrmErrors are the errors that the kernel counts for IPsec in this network namespace,
// by its names; none where it does not count.
func xfrmErrors() map[string]uint64 {
	b, err := os.ReadFile("/proc/net/xfrm_stat")
	if err != nil {
		return nil
	}
	return parseXFRMStat(b)
}

// parseXFRMStat reads lines of a name and a number.
func parseXFRMStat(b []byte) map[string]uint64 {
	m := make(map[string]uint64)
	for line := range bytes.Lines(b) {
		words := bytes.Fields(line)
		if len(words) != 2 {
			continue
		}
		if n, err := strconv.ParseUint(string(words[1]), 10, 64); err == nil {
			m[string(words[0])] = n
		}
	}
	return m
}
