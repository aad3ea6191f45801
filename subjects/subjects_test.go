package subjects_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/subjects"
)

func TestAllAreValidAndParse(t *testing.T) {
	t.Parallel()
	require.Len(t, subjects.All(), 6)
	for _, s := range subjects.All() {
		require.NoError(t, subjects.Valid(string(s)))
		parsed, err := subjects.Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s, parsed)
	}
	subjects.All()[0] = "changed" // the caller's copy
	require.Equal(t, subjects.TicketCreated, subjects.All()[0])
}

func TestParseSuggestsTheNearest(t *testing.T) {
	t.Parallel()
	for name, nearest := range map[string]subjects.Subject{
		"ticket:craeted":          subjects.TicketCreated,
		"TicketUpdated":           subjects.TicketUpdated,
		"order.created":           subjects.OrderCreated,
		"order:canceled":          subjects.OrderCancelled,
		"expiration:completed":    subjects.ExpirationComplete,
		"payments:created":        subjects.PaymentCreated,
		"Ticket:created":          subjects.TicketCreated,
		strings.Repeat("x", 1e6):  "did you mean",
		"":                        "did you mean",
		"ticket:created\n":        subjects.TicketCreated,
		"order:cancelled-by-user": subjects.OrderCancelled,
	} {
		_, err := subjects.Parse(name)
		require.ErrorIs(t, err, subjects.ErrUnknown)
		require.ErrorContains(t, err, string(nearest))
		require.Less(t, len(err.Error()), 300)
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "seat:reserved", "a.b.c", "dead.orders-service.ticket:created", "zürich", "a-b_c", strings.Repeat("x", 255)} {
		require.NoError(t, subjects.Valid(name), name)
	}
	for name, text := range map[string]string{
		strings.Repeat("x", 256): "the name has 256 bytes, at most 255 are allowed",
		"":                       "the name is empty",
		".":                      "a token between dots is empty",
		"a..b":                   "a token between dots is empty",
		".a":                     "a token between dots is empty",
		"a.":                     "ends with a dot",
		"a.*":                    "the wildcard '*'",
		">":                      "the wildcard '>'",
		"a/b":                    "the character '/'",
		"a b":                    "the character ' '",
		"a\tb":                   `the character '\t'`,
		"a\r\nb":                 `the character '\r'`,
		"a\x00b":                 `the character '\x00'`,
		"a\xffb":                 "not UTF-8",
	} {
		err := subjects.Valid(name)
		require.ErrorIs(t, err, subjects.ErrInvalid, "%q", name)
		require.ErrorContains(t, err, text, "%q", name)
	}
}

func ExampleParse() {
	_, err := subjects.Parse("ticket:craeted")
	fmt.Println(err)
	// Output: unknown subject "ticket:craeted": did you mean "ticket:created"?
}

func ExampleValid() {
	const seatReserved subjects.Subject = "seat reserved"
	fmt.Println(subjects.Valid(string(seatReserved)))
	// Output: invalid subject "seat reserved": the character ' ' is not allowed
}

func FuzzParse(f *testing.F) {
	f.Add("ticket:created")
	f.Add("ticket\xff")
	f.Fuzz(func(t *testing.T, name string) {
		s, err := subjects.Parse(name)
		if err == nil {
			require.Equal(t, name, string(s))
			require.NoError(t, subjects.Valid(name))
		} else {
			require.ErrorIs(t, err, subjects.ErrUnknown)
		}
	})
}
