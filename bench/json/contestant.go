package jsonbench

// A Contestant is one JSON implementation, configured as near to the rules of
// the wire as its options allow.
type Contestant struct {
	Name string

	// Encode returns v, a pointer to a struct, as JSON in a slice of its own.
	Encode func(v any) ([]byte, error)

	// Append appends v as JSON to dst. It is the form for a caller that reuses
	// its buffer.
	Append func(dst []byte, v any) ([]byte, error)

	// Decode stores data in v, a pointer to a zeroed struct.
	Decode func(data []byte, v any) error

	// WritesTime says that a time.Time comes out as JavaScript's toISOString
	// writes it. The others need a field type of their own (see JSTime).
	WritesTime bool
}

// All returns every contestant, the standard library first.
func All() []Contestant {
	return []Contestant{
		Std(),
		Experiment(),
		ExperimentCodec(),
		Segmentio(),
		Goccy(),
		GoccyV2(),
		Sonic(),
	}
}
