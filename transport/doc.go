// Package transport is the seam between the library and a broker. Publishers
// and listeners above it deal in typed events; a transport below it knows
// subjects, bytes and headers, and nothing of types.
//
// [Conn] is the only interface that a new broker has to implement, and a
// [Dialer] makes one. What a broker can't do is a field of [Features], and the
// layer above makes up for it as far as can be.
//
// Services import this package only to match its errors.
package transport
