//go:build !goexperiment.jsonv2

package jsonbench

// stdIsV2 says that encoding/json is the shell over encoding/json/v2 that it
// becomes with GOEXPERIMENT=jsonv2, and in Go 1.27 by itself.
const stdIsV2 = false
