package client

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ID returns a legal client ID for a service of that name: the name, and the
// name of the host it runs on, which in Kubernetes is its pod's. Both are known
// again after a restart, so that a process that crashed takes its own place on
// the server at once. Where the host's name is not known, it is a random one.
//
// Characters that the server does not allow become '-'. Names that are too long are
// cut: the service's at its end, the host's, which ends with what is particular to
// a pod, at its beginning. Two processes of one service on one host need IDs of
// their own: give them different names.
func ID(service string) string {
	name, host := legal(service), host()
	name = name[:min(len(name), longestService)]
	host = host[max(0, len(host)-longestHost):]
	return strings.Trim(name+"-"+host, "-")
}

// Together they leave room for a number within the 128 characters that a client ID
// may have. On Linux no host's name is longer.
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

// legal makes s a part of a client ID (the server's clientIDRegEx).
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

// identity hands out the client IDs to try.
type identity struct {
	generated bool
	next      func() string
}

func fixedID(id string) identity {
	return identity{next: func() string { return id }}
}

// generatedID tries ID(service) first, and a numbered one after each that is
// taken: several processes of a service may share a host.
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

// program is the name of the running program.
func program() string {
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
}
