package jetstream

import (
	"context"
	"strings"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

func TestConsumerName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ticket:created__orders", ConsumerName("ticket:created", "orders", ""))
	require.Equal(t, "ticket:created__orders", ConsumerName("ticket:created", "orders", "orders"))
	require.Equal(t, "ticket:created__orders__v2", ConsumerName("ticket:created", "orders", "v2"))
	require.Equal(t, "a_2Eb__c_5Fd-_C3_B6", ConsumerName("a.b", "c_d-ö", ""))

	// No two are alike, whatever the parts hold.
	parts := []string{"", "a", "_", "__", "a_", "_a", ".", "a.", "_2E", "a__b", "b"}
	seen := make(map[string][3]string)
	for _, a := range parts {
		for _, b := range parts {
			for _, c := range parts {
				name := join(a, b, c)
				require.NotContains(t, seen, name, "%q and %q", seen[name], [3]string{a, b, c})
				seen[name] = [3]string{a, b, c}
			}
		}
	}

	long := strings.Repeat("x", 255)
	one, two := ConsumerName(long, "one", ""), ConsumerName(long, "two", "")
	require.Len(t, one, 255)
	require.NotEqual(t, one, two)
}

func FuzzConsumerName(f *testing.F) {
	f.Add("a.b", "c", "a", "b.c")
	f.Add("a__b", "c", "a", "b__c")
	f.Fuzz(func(t *testing.T, subject1, group1, subject2, group2 string) {
		one, two := ConsumerName(subject1, group1, ""), ConsumerName(subject2, group2, "")
		require.Equal(t, subject1 == subject2 && group1 == group2, one == two)
		require.LessOrEqual(t, len(one), 255)
		require.False(t, strings.ContainsAny(one, " .*>/\\\t\r\n\f"), one)
	})
}

func TestCovered(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, subject string
		covers           bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "a.b", false},
		{"a.b", "a", false},
		{">", "a.b", true},
		{">", "dead.>", true},
		{"dead.>", "dead", false},
		{"dead.>", "dead.a", true},
		{"dead.>", "dead.>", true},
		{"dead.*", "dead.>", false},
		{"dead.*", "dead.a", true},
		{"dead.*", "dead.*", true},
		{"dead.a", "dead.*", false},
		{"*.*", "a.b", true},
		{"*.*", "a", false},
	} {
		require.Equal(t, tc.covers, covered([]string{tc.pattern}, tc.subject), "%s covers %s", tc.pattern, tc.subject)
	}
	require.Equal(t, []string{"a.>", "b"}, union([]string{"a.x", "a.y"}, []string{"a.>", "a.z", "b", "b"}))
}

func TestOptionsThatCantBe(t *testing.T) {
	t.Parallel()
	for text, opts := range map[string][]Option{
		"option: nil (number 1 of 1)":                             {nil},
		"AddSubjects: it would have no effect beside BindOnly":    {BindOnly(), AddSubjects()},
		"AddSubjects: it contradicts FixedSubj":                   {AddSubjects(), FixedSubjects()},
		"UpdateStream: it would have no effect beside BindOnly":   {UpdateStream(), BindOnly()},
		"UpdateConsumer: it would have no effect beside BindOnly": {UpdateConsumer(), BindOnly()},
		"Subjects: it names none":                                 {Subjects()},
		`Subjects: "a..b" can't be one`:                           {Subjects("a..b")},
		`OnlySubjects: "" can't be one`:                           {OnlySubjects("")},
		"Replicas: 0":                                             {Replicas(0)},
		"Replicas: 6":                                             {Replicas(6)},
		"MaxAge: 1ms":                                             {MaxAge(time.Millisecond)},
		"MaxBytes: 0":                                             {MaxBytes(0)},
		"MaxMessages: -1":                                         {MaxMessages(-1)},
		"DuplicateWindow: 0s":                                     {DuplicateWindow(0)},
		"DuplicateWindow: 2m0s is longer than MaxAge 1m0s":        {DuplicateWindow(2 * time.Minute), MaxAge(time.Minute)},
		"MaxAckPending: 0":                                        {MaxAckPending(0)},
		`APIPrefix: "JS.*.API" has a wildcard`:                    {APIPrefix("JS.*.API")},
		`APIPrefix: "" can't be one`:                              {APIPrefix("")},
		"APIPrefix: it contradicts Domain":                        {APIPrefix("JS.a.API"), Domain("a")},
		`Domain: "a.b"`:                                           {Domain("a.b")},
	} {
		_, err := Dialer(opts...)(context.Background(), transport.Config{ClusterID: "c", ClientID: "c", URL: "nats://127.0.0.1:1"})
		require.ErrorIs(t, err, transport.ErrInvalid, text)
		require.ErrorContains(t, err, text)
	}
	for text, cfg := range map[string]transport.Config{
		"cluster ID: it is empty": {ClientID: "c"},
		`cluster ID "a.b"`:        {ClusterID: "a.b", ClientID: "c"},
		"client ID: it is empty":  {ClusterID: "c"},
		`subjects: "a..b"`:        {ClusterID: "c", ClientID: "c", Subjects: []string{"a..b"}},
	} {
		_, err := Dialer()(context.Background(), cfg)
		require.ErrorIs(t, err, transport.ErrInvalid, text)
		require.ErrorContains(t, err, text)
	}
}

// TestNewStream: what was asked for, and else what loses nothing in silence.
func TestNewStream(t *testing.T) {
	t.Parallel()
	o, err := newOptions(nil)
	require.NoError(t, err)
	require.Empty(t, o.newStream("ticketing").Subjects, "the transport knows no catalogue")
	o.configured = []string{"seat:assigned", "dead.billing.x", "dead.>"}
	plain := o.newStream("ticketing")
	require.Equal(t, js.FileStorage, plain.Storage)
	require.Equal(t, js.LimitsPolicy, plain.Retention)
	require.Equal(t, js.DiscardNew, plain.Discard)
	require.Equal(t, []string{"seat:assigned", "dead.>"}, plain.Subjects)

	o, err = newOptions([]Option{
		Replicas(3), MemoryStorage(), DiscardOld(), MaxAge(time.Hour), MaxBytes(1000), MaxMessages(10),
		DuplicateWindow(time.Minute), Subjects("billing.>"),
	})
	require.NoError(t, err)
	o.configured = []string{"seat:assigned", "billing.paid", "dead.>"}
	asked := o.newStream("ticketing")
	require.Equal(t, []string{"seat:assigned", "dead.>", "billing.>"}, asked.Subjects)
	asked.Subjects = nil
	require.Equal(t, js.StreamConfig{
		Name: "ticketing", Replicas: 3, Storage: js.MemoryStorage, Retention: js.LimitsPolicy, Discard: js.DiscardOld,
		MaxAge: time.Hour, MaxBytes: 1000, MaxMsgs: 10, Duplicates: time.Minute,
	}, asked)
}

// TestOnlySubjects replaces what the client asks for.
func TestOnlySubjects(t *testing.T) {
	t.Parallel()
	o, err := newOptions([]Option{OnlySubjects("billing.>"), Subjects("paid")})
	require.NoError(t, err)
	o.configured = []string{"seat:assigned", "dead.>"}
	require.Equal(t, []string{"billing.>", "paid"}, o.newStream("billing").Subjects)
}

// TestRemedyForSubject names what adds the subject.
func TestRemedyForSubject(t *testing.T) {
	t.Parallel()
	plain, err := newOptions([]Option{Subjects("billing.>")})
	require.NoError(t, err)
	only, err := newOptions([]Option{OnlySubjects("billing.>")})
	require.NoError(t, err)
	bound, err := newOptions([]Option{BindOnly(), Subjects("billing.>")})
	require.NoError(t, err)
	fixed, err := newOptions([]Option{FixedSubjects()})
	require.NoError(t, err)
	plain.configured, only.configured = []string{"dead.>"}, []string{"dead.>"}
	for _, tc := range []struct {
		o             options
		subject, want string
	}{
		{plain, "billing.paid", `option AddSubjects adds billing.> to stream "s"`},
		{plain, "dead.g.billing.paid", `option AddSubjects adds dead.> to stream "s"`},
		{plain, "seat", `option AddSubjects adds it to stream "s" beside Subjects("seat")`},
		{only, "billing.paid", `option AddSubjects adds billing.> to stream "s"`},
		{only, "dead.g.billing.paid", `option AddSubjects adds dead.> to stream "s"; with OnlySubjects, name it there, too`},
		{fixed, "billing.paid", `with option FixedSubjects the client adds none: the owner of stream "s" has to add billing.paid`},
		{bound, "billing.paid", `with option BindOnly the client adds nothing: the owner of stream "s" has to add billing.paid`},
	} {
		require.Equal(t, tc.want, tc.o.remedyForSubject("s", tc.subject))
	}
}
