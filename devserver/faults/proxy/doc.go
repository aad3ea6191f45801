// Package proxy stands between a client and its server and spoils the link: it
// cuts it, refuses, stalls, delays, closes one half, or makes the connections that
// are there go dead without a word. It knows bytes alone.
package proxy
