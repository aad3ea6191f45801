package jsonbench

import (
	"bytes"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// BenchmarkDecodeOptions takes the options for decoding one by one.
func BenchmarkDecodeOptions(b *testing.B) {
	duplicates := jsontext.AllowDuplicateNames(true)
	mangled := jsontext.AllowInvalidUTF8(true)
	withCheck := experimentWith("both+utf8.Valid", duplicates, mangled)
	decode := withCheck.Decode
	withCheck.Decode = func(data []byte, v any) error {
		if !utf8.Valid(data) {
			return ErrInvalidUTF8
		}
		return decode(data, v)
	}
	for _, c := range []Contestant{
		experimentWith("defaults"),
		experimentWith("duplicates", duplicates),
		experimentWith("duplicates+invalid", duplicates, mangled),
		withCheck,
		ExperimentCodec(),
	} {
		for _, ticket := range benchTickets {
			b.Run("event="+ticket.name+"/options="+c.Name, func(b *testing.B) {
				benchDecode[TicketCreated](b, c, wireBytes(b, &ticket.event))
			})
		}
	}
}

// BenchmarkEncodeForms takes the forms of encoding: where the bytes go, and how
// the event is handed over.
func BenchmarkEncodeForms(b *testing.B) {
	var reused bytes.Buffer
	pool := sync.Pool{New: func() any { return new(bytes.Buffer) }}
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
		{"MarshalWrite-reused-buffer", func(event *TicketCreated) error {
			reused.Reset()
			return json.MarshalWrite(&reused, event)
		}},
		{"MarshalWrite-pooled-buffer-cloned", func(event *TicketCreated) error {
			buf := pool.Get().(*bytes.Buffer)
			defer pool.Put(buf)
			buf.Reset()
			err := json.MarshalWrite(buf, event)
			_ = bytes.Clone(buf.Bytes())
			return err
		}},
	}
	for _, form := range forms {
		for _, ticket := range benchTickets {
			b.Run("event="+ticket.name+"/form="+form.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(wireBytes(b, &ticket.event))))
				for b.Loop() {
					if err := form.encode(&ticket.event); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkNegativeZero takes the ways to write -0 as 0.
func BenchmarkNegativeZero(b *testing.B) {
	hook := json.WithMarshalers(json.MarshalToFunc(writePositiveZero))
	scan := experimentWith("scan")
	encode := scan.Encode
	scan.Encode = func(v any) ([]byte, error) {
		out, err := encode(v)
		return FixNegativeZero(out), err
	}
	for _, c := range []Contestant{experimentWith("none"), experimentWith("hook", hook), scan} {
		for _, ticket := range benchTickets {
			b.Run("event="+ticket.name+"/way="+c.Name, func(b *testing.B) { benchEncode(b, c, &ticket.event) })
		}
	}
}

// writePositiveZero writes every float64; -0 is equal to 0.
func writePositiveZero(enc *jsontext.Encoder, f float64) error {
	if f == 0 {
		f = 0
	}
	return enc.WriteToken(jsontext.Float(f))
}

// BenchmarkGuard is what the codec's own looks at the bytes cost.
func BenchmarkGuard(b *testing.B) {
	for _, ticket := range benchTickets {
		data := wireBytes(b, &ticket.event)
		b.Run("event="+ticket.name+"/check=utf8.Valid", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				utf8.Valid(data)
			}
		})
		b.Run("event="+ticket.name+"/check=CheckPayload", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := CheckPayload(data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("event="+ticket.name+"/check=FixNegativeZero", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				FixNegativeZero(data)
			}
		})
	}
}
