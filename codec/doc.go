// Package codec turns events into payloads and back. [JSON], the default, writes
// what Node services on the same channels write, to the byte. Another format is
// a type with the three methods of [Codec], given to publishers and listeners as
// an option.
package codec
