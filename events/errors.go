package events

import "errors"

// ErrInvalidEvent means that an event's own Validate, or the codec, refuses it.
// publisher.ErrInvalidEvent and listener.ErrInvalidEvent are the same error.
var ErrInvalidEvent = errors.New("invalid event")
