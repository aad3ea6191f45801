package client

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ID returns a valid client ID for a service: the service's name, and the name of the host,
// which in Kubernetes is the pod's. A process that restarts on the same host gets the same
// ID, so that after a crash it takes over its own registration on the server at once. If the
// host's name is not known, a random one stands in its place.
//
// Each character that the server does not allow becomes '-'. A name that is too long is cut:
// the service's at its end, and the host's at its beginning, since the end of a pod's name
// tells the pods apart. Two processes of one service on one host need IDs of their own: give
// them different names.
func ID(service string) string {
	name, host := legal(service), host()
	name = name[:min(len(name), longestService)]
	host = host[max(0, len(host)-longestHost):]
	return strings.Trim(name+"-"+host, "-")
}

// A client ID has at most 128 characters. These limits leave room for a number behind both
// names. Linux allows a host's name 64 characters.
const (
	longestService = 56
	longestHost    = 64
)

func host() string {
	if name, err := os.Hostname(); err == nil && legal(name) != "" {
		return legal(name)
	}
	return rand.Text()
}

// legal replaces what a client ID can't have; the server's rule is its clientIDRegEx.
func legal(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		default:
			return '-'
		}
	}, s), "-")
}

// identity returns the client IDs to try, one after another.
type identity struct {
	given     string // the client ID that the caller gave; empty: none
	generated bool   // the caller gave none
	next      func() string
}

func fixedID(id string) identity {
	return identity{given: id, next: func() string { return id }}
}

// generatedID returns ID(service) first, and then the same with a number: several processes
// of a service may run on one host.
func generatedID(service string) identity {
	base, n := ID(service), 0
	return identity{generated: true, next: func() string {
		n++
		if n == 1 {
			return base
		}
		return base + "-" + strconv.Itoa(n)
	}}
}

// program returns the name of the running program.
func program() string {
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
}
