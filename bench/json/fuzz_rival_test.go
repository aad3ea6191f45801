package jsonbench

import (
	"bytes"
	"testing"
)

// FuzzRivalDecode and FuzzRivalEncode compare the two implementations of the API
// of encoding/json/v2 with each other. No difference is allowed: a service that
// needs the faster one could then put it in the codec's place.

func FuzzRivalDecode(f *testing.F) {
	for _, seed := range decodeSeeds {
		f.Add([]byte(seed))
	}
	chosen, rival := ExperimentCodec(), GoccyV2()
	f.Fuzz(func(t *testing.T, data []byte) {
		compareRivals[TicketUpdated](t, chosen, rival, data)
		compareRivals[OrderCreated](t, chosen, rival, data)
		compareRivals[anything](t, chosen, rival, data)
	})
}

func compareRivals[T any](t *testing.T, chosen, rival Contestant, data []byte) {
	t.Helper()
	var got, want T
	gotErr, wantErr := rival.Decode(data, &got), chosen.Decode(data, &want)
	agree := (gotErr == nil) == (wantErr == nil)
	if agree && gotErr == nil {
		agree = sameEvent(got, want)
	}
	if !agree {
		t.Errorf("%q into %T:\n%s %+v, %v\n%s %+v, %v",
			data, got, rival.Name, got, gotErr, chosen.Name, want, wantErr)
	}
}

func FuzzRivalEncode(f *testing.F) {
	f.Add("t1", int64(0), "a\"\\/<>&\b\f\n\u2028é漢😀", 20.5)
	f.Add("\xff", int64(1<<53-1), `\u2028`, 1e21)
	chosen, rival := ExperimentCodec(), GoccyV2()
	f.Fuzz(func(t *testing.T, id string, version int64, title string, price float64) {
		event := &TicketUpdated{ID: id, Version: version, Title: title, Price: price}
		got, gotErr := rival.Encode(event)
		want, wantErr := chosen.Encode(event)
		if (gotErr == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
			t.Errorf("%+v:\n%s %q, %v\n%s %q, %v", event, rival.Name, got, gotErr, chosen.Name, want, wantErr)
		}
	})
}
