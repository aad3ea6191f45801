package events

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sgtickets/common/subjects"
)

// DeadLetterReason says why an event was given up.
type DeadLetterReason string

// The reasons.
const (
	DeadLetterUndecodable DeadLetterReason = "undecodable" // the payload is not the event that its subject promises
	DeadLetterInvalid     DeadLetterReason = "invalid"     // it decodes, but the listener validates and it is not valid
	DeadLetterRejected    DeadLetterReason = "rejected"    // the handler said that trying again can't help
	DeadLetterExhausted   DeadLetterReason = "exhausted"   // every attempt failed
	DeadLetterVersionGap  DeadLetterReason = "version-gap" // the version of its entity that comes before it did not come in time
	DeadLetterCrashed     DeadLetterReason = "crashed"     // several processes ended while they ran its handler
)

// Valid tells whether r is one of the six reasons.
func (r DeadLetterReason) Valid() bool {
	switch r {
	case DeadLetterUndecodable, DeadLetterInvalid, DeadLetterRejected, DeadLetterExhausted, DeadLetterVersionGap, DeadLetterCrashed:
		return true
	default:
		return false
	}
}

// DeadLetter holds an event that a queue group could not handle, with what is
// known of why. It is of no one subject, see [DeadLetterSubject], and so is not
// in the [Catalogue], and no publisher or listener is made of it: listeners write
// dead letters themselves, listener.NewDeadLetters receives them, and package
// deadletter puts the events back.
type DeadLetter struct {
	ID        string           `json:"id"`        // see DeadLetterID
	Original  subjects.Subject `json:"subject"`   // where the event is
	Group     string           `json:"group"`     // the queue group that could not handle it; its name as it is, see EscapeGroup
	Sequence  uint64           `json:"sequence"`  // of the event in its channel or stream
	Timestamp time.Time        `json:"timestamp"` // when the broker stored the event; cut to milliseconds, see StoredAt
	Attempts  int              `json:"attempts"`  // how often a handler of the process that gave it up ran on it; 0 if the payload kept it from running

	// Deliveries is how often the broker says that it had sent the event, to whatever member
	// of the group, also where no handler began. 0, and left out: it keeps no count, or the
	// dead letter is of a version of this module that did not write it.
	Deliveries int              `json:"deliveries,omitzero"`
	Error      string           `json:"error"`    // of the last attempt
	FailedAt   time.Time        `json:"failedAt"` // cut to milliseconds
	Reason     DeadLetterReason `json:"reason"`

	Header map[string][]string `json:"header,omitempty"` // the event's, where there was one
	Data   []byte              `json:"data,omitzero"`    // the event's exact bytes, as base64; nil if Truncated

	// Truncated: the dead letter would have been too large for the server, so that
	// Data is left out. The event stays in its channel, at Sequence.
	Truncated bool `json:"truncated,omitzero"`
}

// NewDeadLetter returns d as it can be published, whatever the event and its
// error hold: with the ID that its fields make, which is why Timestamp must be
// the broker's to the nanosecond; with an Error of at most 4 KiB; with a Data that
// is not nil, even of an event without a byte; and with U+FFFD for what is not
// UTF-8 in Error and Header. d.Header and d.Data are not changed.
func NewDeadLetter(d DeadLetter) DeadLetter {
	d.ID = DeadLetterID(d.Original, d.Sequence, d.Timestamp, d.Group)
	d.Timestamp, d.FailedAt = d.Timestamp.UTC(), d.FailedAt.UTC()
	d.Error = clip(strings.ToValidUTF8(d.Error, "\ufffd"), maxErrorText)
	d.Header = validHeader(d.Header)
	if d.Data == nil && !d.Truncated {
		d.Data = []byte{}
	}
	return d
}

// DeadLetterID makes the ID: "<subject>/<sequence>/<timestamp>/<group>", where the
// timestamp counts nanoseconds since 1970, and the group's name is escaped by
// [EscapeGroup]. So no part holds a slash. The same event, given up twice by the same
// group, has the same ID; one that took the sequence after the server had lost its
// store has another.
func DeadLetterID(original subjects.Subject, sequence uint64, timestamp time.Time, group string) string {
	return string(original) + "/" + strconv.FormatUint(sequence, 10) + "/" + strconv.FormatInt(timestamp.UnixNano(), 10) + "/" + EscapeGroup(group)
}

// DeadLetterSubject is where the dead letters go that a queue group makes of a
// subject's events: "dead.<group>.<subject>", where the group's name is escaped by
// [EscapeGroup]. [subjects.Valid] tells whether that is too long for a subject. No two
// groups share the subject of their dead letters of one subject. Where names hold dots it
// may be that of another group and another subject; Group and Original say whose a dead
// letter is.
func DeadLetterSubject(group string, original subjects.Subject) subjects.Subject {
	return subjects.Subject("dead." + EscapeGroup(group) + "." + string(original))
}

// Subject is where the dead letter goes: [DeadLetterSubject] of its Group and
// Original. Of the zero value it is "dead.<group>.<subject>" as it stands here,
// which is no valid subject: that depends on the value.
func (d DeadLetter) Subject() subjects.Subject {
	if d.Group == "" && d.Original == "" {
		return "dead.<group>.<subject>"
	}
	return DeadLetterSubject(d.Group, d.Original)
}

// StoredAt returns when the broker stored the event, to the nanosecond: the ID
// keeps what Timestamp loses on its way.
func (d DeadLetter) StoredAt() (time.Time, error) {
	parts := strings.Split(d.ID, "/")
	if len(parts) == 4 {
		if n, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
			return time.Unix(0, n).UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf(`id: %q is not "<subject>/<sequence>/<timestamp>/<group>"`, clip(d.ID, maxShortText))
}

const (
	maxErrorText = 4096 // leaves the event room: what it does not need to say why
	maxShortText = 256
)

// Shorter returns the dead letter with less in it, for when the server finds it
// too large: first without its Data and Truncated, then with an Error of at most
// 256 bytes, then without its Header. It returns false when nothing is left to be
// left out. d is not changed.
func (d DeadLetter) Shorter() (DeadLetter, bool) {
	switch {
	case !d.Truncated:
		d.Data, d.Truncated = nil, true
	case len(d.Error) > maxShortText:
		d.Error = clip(d.Error, maxShortText)
	case len(d.Header) > 0:
		d.Header = nil
	default:
		return d, false
	}
	return d, true
}

// Validate returns an error that names each field that may not be published.
func (d DeadLetter) Validate() error {
	return errors.Join(
		d.validID(),
		validOriginal(d.Original),
		validGroup(d.Group),
		validSequence(d.Sequence),
		set("timestamp", d.Timestamp),
		notNegative("attempts", d.Attempts),
		notNegative("deliveries", d.Deliveries),
		set("failedAt", d.FailedAt),
		knownReason(d.Reason),
		noDataIf(d.Truncated, d.Data),
	)
}

// validID holds the ID against the fields that it is made of.
func (d DeadLetter) validID() error {
	at, err := d.StoredAt()
	switch {
	case err != nil:
		return err
	case d.ID != DeadLetterID(d.Original, d.Sequence, at, d.Group):
		return fmt.Errorf("id: %q is not what subject, sequence and group make; use NewDeadLetter", clip(d.ID, maxShortText))
	case !at.Truncate(time.Millisecond).Equal(d.Timestamp.Truncate(time.Millisecond)):
		return fmt.Errorf("id: %q is not of the timestamp %s; use NewDeadLetter", clip(d.ID, maxShortText), d.Timestamp.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

func validOriginal(subject subjects.Subject) error {
	if err := subjects.Valid(string(subject)); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	return nil
}

func validGroup(name string) error {
	if err := ValidGroup(name); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	return nil
}

func validSequence(n uint64) error {
	if n == 0 {
		return errors.New("sequence: is 0; the first of a channel is 1")
	}
	return nil
}

func notNegative(field string, n int) error {
	if n < 0 {
		return fmt.Errorf("%s: %d is negative", field, n)
	}
	return nil
}

func knownReason(r DeadLetterReason) error {
	if r.Valid() {
		return nil
	}
	return fmt.Errorf("reason: %q is none of %q, %q, %q, %q, %q, %q", clip(string(r), maxShortText),
		DeadLetterUndecodable, DeadLetterInvalid, DeadLetterRejected, DeadLetterExhausted, DeadLetterVersionGap, DeadLetterCrashed)
}

func noDataIf(truncated bool, data []byte) error {
	if truncated && len(data) > 0 {
		unit := "bytes"
		if len(data) == 1 {
			unit = "byte"
		}
		return fmt.Errorf("data: has %d %s, though truncated says that it is left out", len(data), unit)
	}
	return nil
}

// validHeader returns h if all of it is UTF-8, and otherwise one that is.
func validHeader(h map[string][]string) map[string][]string {
	whole := true
	for name, values := range h {
		whole = whole && utf8.ValidString(name) && !slices.ContainsFunc(values, func(s string) bool { return !utf8.ValidString(s) })
	}
	if whole {
		return h
	}
	mended := make(map[string][]string, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		key := strings.ToValidUTF8(name, "\ufffd")
		for _, value := range h[name] {
			mended[key] = append(mended[key], strings.ToValidUTF8(value, "\ufffd"))
		}
	}
	return mended
}

// clip cuts text to at most n bytes, between characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
