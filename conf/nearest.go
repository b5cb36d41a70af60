package conf

import "strings"

// Nearest is the known key that a wrong one most resembles; empty if none does.
func Nearest(name string, known []string) string {
	const most = 40 // longer names resemble nothing
	if len(name) > most {
		return ""
	}
	name = strings.ToLower(name)
	best, bestAt := "", 0
	for _, k := range known {
		if d := distance(name, k); d <= max(1, len(k)/4) && (best == "" || d < bestAt) {
			best, bestAt = k, d
		}
	}
	return best
}

// distance is how many letters have to be put in, left out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
