package jsonbench

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"
)

// BenchmarkEncodeForms takes the forms of encoding with go-json-experiment:
// where the bytes go, and how the event is handed over.
func BenchmarkEncodeForms(b *testing.B) {
	var reused bytes.Buffer
	forms := []struct {
		name   string
		encode func(event *TicketCreated) error
	}{
		{"Marshal-pointer", func(event *TicketCreated) error {
			_, err := json.Marshal(event)
			return err
		}},
		{"Marshal-value", func(event *TicketCreated) error {
			_, err := json.Marshal(*event)
			return err
		}},
		{"MarshalWrite-new-buffer", func(event *TicketCreated) error {
			buf := bytes.NewBuffer(nil)
			err := json.MarshalWrite(buf, event)
			sink = buf.Bytes()
			return err
		}},
		{"MarshalWrite-reused-buffer", func(event *TicketCreated) error {
			reused.Reset()
			return json.MarshalWrite(&reused, event)
		}},
		{"MarshalWrite-reused-buffer-cloned", func(event *TicketCreated) error {
			reused.Reset()
			err := json.MarshalWrite(&reused, event)
			sink = bytes.Clone(reused.Bytes())
			return err
		}},
	}
	for _, form := range forms {
		c := Contestant{Encode: func(v any) ([]byte, error) { return nil, form.encode(v.(*TicketCreated)) }}
		for _, shape := range ticketShapes {
			b.Run("event="+shape.name+"/form="+form.name, func(b *testing.B) { benchEncode(b, c, shape) })
		}
	}
}

// sink keeps the compiler from leaving out what nobody looks at.
var sink []byte
