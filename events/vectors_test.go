package events_test

import (
	"bufio"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
)

// TestVectors takes every line that Node wrote through decoding and encoding, to
// the same bytes.
func TestVectors(t *testing.T) {
	t.Parallel()
	for _, event := range events.Catalogue() {
		t.Run(string(event.Subject()), func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(filepath.Join("testdata", strings.ReplaceAll(string(event.Subject()), ":", "-")+".jsonl"))
			require.NoError(t, err)
			defer file.Close()

			lines := bufio.NewScanner(file)
			n := 0
			for ; lines.Scan(); n++ {
				decoded := reflect.New(reflect.TypeOf(event)).Interface()
				require.NoError(t, codec.JSON{}.Decode(lines.Bytes(), decoded), "line %d", n+1)
				encoded, err := codec.JSON{}.Encode(decoded)
				require.NoError(t, err, "line %d", n+1)
				require.Equal(t, lines.Text(), string(encoded), "line %d", n+1)
			}
			require.NoError(t, lines.Err())
			require.Equal(t, 24, n, "lines of the vectors")
		})
	}
}
