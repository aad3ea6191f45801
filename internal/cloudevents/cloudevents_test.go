package cloudevents_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/cloudevents"
)

func TestModeOf(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]cloudevents.Mode{
		"":                             cloudevents.Binary,
		"application/json":             cloudevents.Binary,
		"application/cloudeven":        cloudevents.Binary,
		"application/cloudevents+json": cloudevents.Structured,
		" application/cloudevents+json; charset=utf-8": cloudevents.Structured,
		"APPLICATION/CLOUDEVENTS+JSON":                 cloudevents.Structured,
		"application/cloudevents-batch+json":           cloudevents.Batch,
		"application/cloudevents+avro":                 cloudevents.Unreadable,
		"application/cloudevents":                      cloudevents.Unreadable,
		"application/cloudevents+json; charset":        cloudevents.Unreadable,
	} {
		require.Equal(t, want, cloudevents.ModeOf(map[string][]string{"Content-Type": {contentType}}), contentType)
		require.Equal(t, want, cloudevents.ModeOf(map[string][]string{"content-type": {contentType}}), contentType)
	}
	require.Equal(t, cloudevents.Binary, cloudevents.ModeOf(nil))
}

func TestReadAttributes(t *testing.T) {
	t.Parallel()
	e, err := cloudevents.Read([]byte(`{"id":"é","n":-1,"yes":true,"none":null,"odd":{"a":1},"data":{"a":1,"a":2}}`))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"id": "é", "n": "-1", "yes": "true"}, e.Attributes)
	require.Equal(t, `{"a":1,"a":2}`, string(e.Data))
}

// FuzzEncode: what is written for a header can be read back, and is printable ASCII without
// spaces.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "plain", "a b", `"%"`, "%41", "é", "\x00\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		written := cloudevents.Encode(s)
		require.Equal(t, s, cloudevents.Decode(written))
		for _, c := range written {
			require.True(t, c > ' ' && c <= '~')
		}
		cloudevents.Decode(s) // whatever others write
	})
}

// FuzzRead: no message makes it panic, and the data of an event is there.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`{"data":{"orderId":"o1"}}`, `{"data_base64":"eyJ9"}`, `{"data":"x","datacontenttype":"text/plain"}`,
		`{"data":"\ud800"}`, `{"id":"\ud800","data":1}`, `[]`, `null`, `{`, "{\"data\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		e, err := cloudevents.Read(message)
		if err != nil {
			return
		}
		require.True(t, json.Valid(message))
		require.NotNil(t, e.Data)
		require.NotContains(t, e.Attributes, "data")
	})
}
