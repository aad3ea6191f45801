package devserver

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats-streaming-server/logger"
)

// logAdapter hands the servers' log lines to slog. It also listens in on them,
// because there are three things that the servers tell in no other way: why the
// embedded one could not start, which port its monitoring got, and whether a
// streaming server leads its cluster.
type logAdapter struct {
	out *slog.Logger

	mu          sync.RWMutex
	fatal       string
	monitorAddr string
	leading     bool
	silent      bool
}

// levelTrace is below Debug. The servers are never told to trace; it's here to
// complete the interface.
const levelTrace = slog.LevelDebug - 4

// monitorNotice is the format of the line that tells the monitoring address.
const monitorNotice = "Starting %s monitor on %s"

// What a streaming server says once it serves the clients of its cluster, and
// when it no longer does. The first is said as well when it lost that before it
// had begun; then the second follows at once.
const (
	leaderNotice   = logger.LogPrefix + "finished leader promotion actions"
	followerNotice = logger.LogPrefix + "server lost leadership, performing leader stepdown actions"
)

func (a *logAdapter) Noticef(format string, v ...any) {
	a.mu.Lock()
	switch {
	case format == monitorNotice && len(v) == 2:
		a.monitorAddr = fmt.Sprint(v[1])
	case format == leaderNotice:
		a.leading = true
	case format == followerNotice:
		a.leading = false
	}
	a.mu.Unlock()
	a.log(slog.LevelInfo, format, v)
}

// Fatalf must not end the process, as that of the real server does: Start and
// Restart return an error instead.
func (a *logAdapter) Fatalf(format string, v ...any) {
	a.mu.Lock()
	if a.fatal == "" { // the first one is the cause, the next ones tell what it led to
		a.fatal = fmt.Sprintf(format, v...)
	}
	a.mu.Unlock()
	a.log(slog.LevelError, format, v)
}

func (a *logAdapter) Errorf(format string, v ...any) { a.log(slog.LevelError, format, v) }
func (a *logAdapter) Warnf(format string, v ...any)  { a.log(slog.LevelWarn, format, v) }
func (a *logAdapter) Debugf(format string, v ...any) { a.log(slog.LevelDebug, format, v) }
func (a *logAdapter) Tracef(format string, v ...any) { a.log(levelTrace, format, v) }

func (a *logAdapter) log(level slog.Level, format string, v []any) {
	ctx := context.Background()
	// Held while the line is written, so that silence can wait for it.
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.silent || !a.out.Enabled(ctx, level) {
		return
	}
	part := "nats"
	if rest, ok := strings.CutPrefix(format, logger.LogPrefix); ok {
		part, format = "streaming", rest
	}
	a.out.LogAttrs(ctx, level, fmt.Sprintf(format, v...), slog.String("part", part)) //nolint:sloglint // the message is the line of another's log
}

// silence drops what is still logged from here on. The streaming server's own
// connections log for a moment after it's down, when a test whose log they
// write to may be over already.
func (a *logAdapter) silence() {
	a.mu.Lock()
	a.silent = true
	a.mu.Unlock()
}

// cause is what the first fatal line said, without the streaming server's
// prefix; empty when there was none.
func (a *logAdapter) cause() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return strings.TrimPrefix(a.fatal, logger.LogPrefix)
}

// monitor is the host and port of the monitoring, empty when none started.
func (a *logAdapter) monitor() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.monitorAddr
}

// leads reports whether the streaming server leads its cluster.
func (a *logAdapter) leads() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.leading
}
