//go:build !race

package codec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
)

// TestAllocations holds what encoding and decoding allocate to what it was. The race
// detector allocates, too: make test runs it without.
func TestAllocations(t *testing.T) {
	event := events.TicketCreated{ID: "5f8a4c1e9b3d", Version: 3, Title: "A concert in the open air", Price: 49.9, UserID: "5f8a4c1e9b3e"}
	payload, err := codec.JSON{}.Encode(&event)
	require.NoError(t, err)
	var buf []byte
	var back events.TicketCreated
	for name, test := range map[string]struct {
		most float64
		op   func() error
	}{
		"append": {0, func() (err error) { buf, err = codec.JSON{}.AppendEncode(buf[:0], &event); return err }},
		"decode": {1, func() error { back = events.TicketCreated{}; return codec.JSON{}.Decode(payload, &back) }}, // its texts
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
				if err := test.op(); err != nil {
					t.Error(err)
				}
			}), test.most)
		})
	}
}
