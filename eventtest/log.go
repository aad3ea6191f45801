package eventtest

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
)

// testLog writes to a test's log, and nowhere once the test has ended: package
// testing panics on what is logged then.
type testLog struct {
	mu    sync.Mutex
	t     testing.TB
	ended bool
}

// handler leaves out the time, which says nothing in a synctest bubble.
func (l *testLog) handler() slog.Handler {
	return slog.NewTextHandler(l, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	})
}

// Write implements io.Writer, for one line at a time.
func (l *testLog) Write(line []byte) (int, error) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.t.Log(string(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return len(line), nil
}

func (l *testLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}
