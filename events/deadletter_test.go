package events_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
)

// letter is one whose every field is set.
func letter() events.DeadLetter {
	return events.NewDeadLetter(events.DeadLetter{
		Original: subjects.OrderCreated, Group: "payments", Sequence: 17,
		Timestamp: time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.FixedZone("", 3600)),
		Attempts:  5, Deliveries: 7, Error: "no <such> ticket", FailedAt: time.Date(2026, 11, 21, 9, 0, 9, 999999, time.UTC),
		Reason: events.DeadLetterExhausted,
		Header: map[string][]string{"b": {"1", "2"}, "a": {""}},
		Data:   []byte("\xff{\"id\""),
	})
}

func encoded(t *testing.T, d events.DeadLetter) string {
	t.Helper()
	data, err := codec.JSON{}.Encode(&d)
	require.NoError(t, err)
	return string(data)
}

// TestDeadLetterOnTheWire: the bytes that services in other languages read.
func TestDeadLetterOnTheWire(t *testing.T) {
	t.Parallel()
	const head = `{"id":"order:created/17/1795251600123456789/payments","subject":"order:created","group":"payments","sequence":17,` +
		`"timestamp":"2026-11-21T09:00:00.123Z","attempts":5,"deliveries":7,"error":"no <such> ticket","failedAt":"2026-11-21T09:00:09.000Z","reason":"exhausted"`
	full := letter()
	require.NoError(t, full.Validate())
	require.Equal(t, subjects.Subject("dead.payments.order:created"), full.Subject())
	require.Equal(t, head+`,"header":{"a":[""],"b":["1","2"]},"data":"/3siaWQi"}`, encoded(t, full))

	short, ok := full.Shorter()
	require.True(t, ok)
	require.NoError(t, short.Validate())
	require.Equal(t, head+`,"header":{"a":[""],"b":["1","2"]},"truncated":true}`, encoded(t, short))
	require.NotNil(t, full.Data, "Shorter leaves the original alone")

	short, ok = short.Shorter()
	require.True(t, ok)
	require.Equal(t, head+`,"truncated":true}`, encoded(t, short))
	_, ok = short.Shorter()
	require.False(t, ok)

	empty := events.NewDeadLetter(with(full, func(d *events.DeadLetter) { d.Header, d.Data = nil, nil }))
	require.Equal(t, head+`,"data":""}`, encoded(t, empty), "an event without a byte has data, of none")
	var read events.DeadLetter
	require.NoError(t, codec.JSON{}.Decode([]byte(encoded(t, empty)), &read))
	require.Equal(t, []byte{}, read.Data)
}

// TestDeadLetterWithoutDeliveries: one that an earlier version of this module wrote, and one of a
// broker that keeps no count.
func TestDeadLetterWithoutDeliveries(t *testing.T) {
	t.Parallel()
	uncounted := with(letter(), func(d *events.DeadLetter) { d.Deliveries = 0 })
	text := encoded(t, uncounted)
	require.Contains(t, text, `"attempts":5,"error":`)
	var read events.DeadLetter
	require.NoError(t, codec.JSON{}.Decode([]byte(text), &read))
	require.NoError(t, read.Validate())
	require.Zero(t, read.Deliveries)
	require.Equal(t, 5, read.Attempts)
	require.ErrorContains(t, with(read, func(d *events.DeadLetter) { d.Deliveries = -1 }).Validate(), "deliveries: -1 is negative")
}

// TestDeadLetterID: the same event given up twice is recognised, another is not.
func TestDeadLetterID(t *testing.T) {
	t.Parallel()
	first := letter()
	again := events.NewDeadLetter(with(first, func(d *events.DeadLetter) { d.FailedAt, d.Attempts, d.Error = time.Now(), 6, "other" }))
	require.Equal(t, first.ID, again.ID)
	for _, change := range []func(d *events.DeadLetter){
		func(d *events.DeadLetter) { d.Timestamp = d.Timestamp.Add(1) },
		func(d *events.DeadLetter) { d.Sequence++ },
		func(d *events.DeadLetter) { d.Group = "payments2" },
		func(d *events.DeadLetter) { d.Original = subjects.OrderCancelled },
	} {
		require.NotEqual(t, first.ID, events.NewDeadLetter(with(first, change)).ID)
	}
	var read events.DeadLetter
	require.NoError(t, codec.JSON{}.Decode([]byte(encoded(t, first)), &read))
	at, err := read.StoredAt()
	require.NoError(t, err)
	require.True(t, first.Timestamp.Equal(at), "to the nanosecond")
	require.NoError(t, read.Validate())
}

// TestDeadLetterOfWhatever: what an event or its error holds keeps no dead letter
// from being published.
func TestDeadLetterOfWhatever(t *testing.T) {
	t.Parallel()
	d := events.NewDeadLetter(with(letter(), func(d *events.DeadLetter) {
		d.Error = "\xff" + strings.Repeat("ä", 4096)
		d.Header = map[string][]string{"k\xff": {"v\xff"}, "ok": {"v"}}
	}))
	require.NoError(t, d.Validate())
	require.Len(t, d.Error, 4095, "cut between characters")
	require.Equal(t, map[string][]string{"k\ufffd": {"v\ufffd"}, "ok": {"v"}}, d.Header)
	_ = encoded(t, d)

	for n, ok := 0, true; ok; n++ {
		require.Less(t, n, 4)
		d, ok = d.Shorter()
		_ = encoded(t, d)
	}
	require.Len(t, d.Error, 255)
	require.Less(t, len(encoded(t, d)), 600)
}

func TestDeadLetterValidate(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]func(d *events.DeadLetter){
		`id: "" is not "<subject>/<sequence>/<timestamp>/<group>"`: func(d *events.DeadLetter) { d.ID = "" },
		"is not what subject, sequence and group make":             func(d *events.DeadLetter) { d.Sequence++ },
		"is not of the timestamp 2026":                             func(d *events.DeadLetter) { d.Timestamp = d.Timestamp.Add(time.Millisecond) },
		"subject: invalid subject: the name is empty":              func(d *events.DeadLetter) { d.Original = "" },
		"group: the name is empty":                                 func(d *events.DeadLetter) { d.Group = "" },
		"group: the name \"a\\xff\" is not UTF-8":                  func(d *events.DeadLetter) { d.Group = "a\xff" },
		"sequence: is 0":                                           func(d *events.DeadLetter) { d.Sequence = 0 },
		"timestamp: is not set":                                    func(d *events.DeadLetter) { d.Timestamp = time.Time{} },
		"attempts: -1 is negative":                                 func(d *events.DeadLetter) { d.Attempts = -1 },
		"failedAt: is not set":                                     func(d *events.DeadLetter) { d.FailedAt = time.Time{} },
		`reason: "lost" is none of "undecodable"`:                  func(d *events.DeadLetter) { d.Reason = "lost" },
		"data: has 6 bytes, though truncated":                      func(d *events.DeadLetter) { d.Truncated = true },
		"data: has 1 byte, though truncated":                       func(d *events.DeadLetter) { d.Truncated, d.Data = true, []byte("x") },
	} {
		require.ErrorContains(t, with(letter(), change).Validate(), text)
	}
}

// TestDeadLetterHasNoOneSubject: the zero value's is not one that can be listened to.
func TestDeadLetterHasNoOneSubject(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, subjects.Valid(string(events.DeadLetter{}.Subject())), subjects.ErrInvalid)
	for _, e := range events.Catalogue() {
		require.NotEqual(t, events.DeadLetter{}.Subject(), e.Subject())
	}
}

// FuzzDeadLetter: whatever is on the channel, it is refused or not valid or one
// that can be written again and means the same.
func FuzzDeadLetter(f *testing.F) {
	for _, payload := range []string{
		`{"id":"order:created/17/1795251600123456789/payments","subject":"order:created","group":"payments","sequence":17,` +
			`"timestamp":"2026-11-21T09:00:00.123Z","attempts":5,"error":"e","failedAt":"2026-11-21T09:00:09.000Z","reason":"exhausted","header":{"a":[""]},"data":"/3siaWQi"}`,
		`{"id":"a/1/-5/b","subject":"a","group":"b","sequence":1,"timestamp":"1969-12-31T23:59:59.999Z","failedAt":"1970-01-01T00:00:00Z","reason":"invalid","truncated":true}`,
		`{"id":"///","sequence":-1,"data":"?"}`, `{"data":null,"header":null}`, `{"id":"a/1/9223372036854775808/b"}`, `{`,
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var first events.DeadLetter
		if (codec.JSON{}).Decode(payload, &first) != nil || first.Validate() != nil {
			return
		}
		if y := first.FailedAt.UTC().Year(); y < 0 || y > 9999 {
			return // no date in JSON
		}
		require.NoError(t, subjects.Valid(string(first.Original)))
		var second events.DeadLetter
		require.NoError(t, codec.JSON{}.Decode([]byte(encoded(t, first)), &second))
		require.NoError(t, second.Validate())
		require.Equal(t, first.ID, second.ID)
		require.Equal(t, string(first.Data), string(second.Data))
		require.Equal(t, first.Truncated, second.Truncated)
		require.Equal(t, encoded(t, first), encoded(t, second))
	})
}
