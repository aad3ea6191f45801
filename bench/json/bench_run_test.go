package jsonbench

import (
	"sync"
	"testing"
)

// benchEncode measures Encode of the events of a shape in turn.
func benchEncode(b *testing.B, c Contestant, shape benchShape) {
	b.Helper()
	out, err := c.Encode(shape.events[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(out)))
	i := 0
	for b.Loop() {
		if _, err := c.Encode(shape.events[i]); err != nil {
			b.Fatal(err)
		}
		i = next(i, len(shape.events))
	}
}

// benchAppend measures Append into a reused buffer.
func benchAppend(b *testing.B, c Contestant, shape benchShape) {
	b.Helper()
	buf, err := c.Append(nil, shape.events[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	i := 0
	for b.Loop() {
		if buf, err = c.Append(buf[:0], shape.events[i]); err != nil {
			b.Fatal(err)
		}
		i = next(i, len(shape.events))
	}
}

// benchDecode measures Decode into a zeroed T from a pool, as a listener does.
func benchDecode[T any](b *testing.B, c Contestant, payloads [][]byte) {
	b.Helper()
	pool := sync.Pool{New: func() any { return new(T) }}
	b.ReportAllocs()
	b.SetBytes(int64(len(payloads[0])))
	i := 0
	for b.Loop() {
		event := pool.Get().(*T)
		var zero T
		*event = zero
		if err := c.Decode(payloads[i], event); err != nil {
			b.Fatal(err)
		}
		pool.Put(event)
		i = next(i, len(payloads))
	}
}

// next goes round without the cost of a division.
func next(i, n int) int {
	i++
	if i == n {
		return 0
	}
	return i
}
