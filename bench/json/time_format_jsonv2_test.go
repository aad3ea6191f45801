//go:build goexperiment.jsonv2

package jsonbench

// formatTagWays has nothing to measure: see time_format_test.go.
func formatTagWays(benchShape) []timeWay { return nil }
