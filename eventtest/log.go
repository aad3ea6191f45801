package eventtest

import (
	"log/slog"
	"sync"
	"testing"
)

// testLog writes to a test's output until the test ends, without the source line that t.Log
// puts before each line. After that it drops what is logged, since package testing would
// panic.
type testLog struct {
	mu    sync.Mutex
	t     testing.TB
	ended bool
}

// handler returns a handler that leaves out the time, which means nothing in a synctest
// bubble.
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

// Write implements io.Writer. The text handler calls it once for each line.
func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return len(line), nil
	}
	return l.t.Output().Write(line)
}

// end says that the test has ended.
func (l *testLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}
