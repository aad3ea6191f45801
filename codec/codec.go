package codec

// Codec turns events into payloads and back. Implementations are safe for
// concurrent use.
type Codec interface {
	// Encode returns the payload for the event that v points to.
	Encode(v any) ([]byte, error)
	// Decode sets the event that v points to from data, all of it. v points to a
	// zero value; data is not kept.
	Decode(data []byte, v any) error
	// ContentType is the media type of the payloads, as in the header Content-Type.
	ContentType() string
}

// Appender is implemented by codecs that can append a payload to a buffer,
// which saves publishers an allocation for each event.
type Appender interface {
	// AppendEncode appends the payload for the event that v points to.
	AppendEncode(buf []byte, v any) ([]byte, error)
}
