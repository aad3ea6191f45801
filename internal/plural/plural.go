// Package plural writes how many there are of something.
package plural

import "strconv"

// Count returns the number with the noun that fits it: one for 1, otherwise many.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
