package jsonbench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// vectorRules take every line that Node wrote through decoding and encoding to
// the same bytes.
var vectorRules = []rule{
	{
		name: "vectors: ticket:created", broken: []string{"std", "segmentio"},
		check: keepsVectors("ticket-created", func() any { return new(TicketCreated) }),
	},
	{
		name: "vectors: ticket:updated", broken: []string{"std", "segmentio"},
		check: keepsVectors("ticket-updated", func() any { return new(TicketUpdated) }),
	},
	{
		name: "vectors: order:created, `time.Time`", broken: []string{"std", "experiment", "segmentio", "goccy", "sonic"},
		check: keepsVectors("order-created", func() any { return new(OrderCreated) }),
	},
	{
		name: "vectors: order:created, a time type of its own", broken: []string{"std", "segmentio"},
		check: keepsVectors("order-created", func() any { return new(OrderCreatedJS) }),
	},
	{
		name: "vectors: order:cancelled", broken: []string{"std", "segmentio"},
		check: keepsVectors("order-cancelled", func() any { return new(OrderCancelled) }),
	},
	{
		name: "vectors: expiration:complete", broken: []string{"std", "segmentio"},
		check: keepsVectors("expiration-complete", func() any { return new(ExpirationComplete) }),
	},
	{
		name: "vectors: payment:created", broken: []string{"std", "segmentio"},
		check: keepsVectors("payment-created", func() any { return new(PaymentCreated) }),
	},
}

func keepsVectors(file string, newEvent func() any) func(Contestant) error {
	return func(c Contestant) error {
		lines, err := readVectors(file)
		if err != nil {
			return err
		}
		for i, line := range lines {
			event := newEvent()
			if err := c.Decode(line, event); err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
			if err := encodes(c, event, string(line)); err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
		}
		return nil
	}
}

// readVectors returns the lines of a file of testdata/vectors. They may hold
// U+2028, so that only a newline ends a line.
func readVectors(name string) ([][]byte, error) {
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".jsonl"))
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	if len(lines) < 20 {
		return nil, fmt.Errorf("%s has only %d lines", name, len(lines))
	}
	return lines, nil
}
