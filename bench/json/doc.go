// Package jsonbench chooses the JSON implementation of the package codec by
// evidence: it puts the candidates behind one small shape and asks each of them
// the same three questions.
//
//   - Is it right? rules_test.go, vectors_test.go and depth_test.go check the
//     rules of the wire and say, for each candidate, which rule holds, which
//     holds with a guard that the codec adds, and which can't be kept at all.
//   - Does it agree with encoding/json? fuzz_decode_test.go and
//     fuzz_encode_test.go compare the chosen one with the standard library and
//     accept only differences that are listed and explained
//     (decode_differences_test.go). traps_test.go lists what a team's own events
//     run into.
//   - What does it cost? The bench_*_test.go files and time_ways_test.go measure
//     encoding, decoding and each option of the chosen one by itself.
//
// RESULTS.md has the numbers, the recommendation and the commands.
//
// A reader starts with contestant.go, which defines what a candidate is, then
// experiment_codec.go, which is the recommended configuration, and guard.go,
// which is what a codec has to add to any of them.
package jsonbench
