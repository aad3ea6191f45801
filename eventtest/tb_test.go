package eventtest_test

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorder is a test whose failures are kept instead of reported.
type recorder struct {
	testing.TB

	mu       sync.Mutex
	failure  string
	log      strings.Builder
	cleanups []func()
	ended    bool
}

func (r *recorder) Helper() {}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure += fmt.Sprintf(format, args...)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.Errorf("%s", fmt.Sprint(args...))
	runtime.Goexit()
}

// Output returns what panics after the test's end, as package testing does.
func (r *recorder) Output() io.Writer { return output{r} }

type output struct{ r *recorder }

func (o output) Write(p []byte) (int, error) {
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	if o.r.ended {
		panic("logged after the end of the test")
	}
	return o.r.log.Write(p)
}

func (r *recorder) finish() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

// try runs f as a test of its own, its cleanups included, and returns how it
// failed; empty if it did not.
func try(t *testing.T, f func(tb testing.TB)) string {
	t.Helper()
	return attempt(t, f).failure
}

func attempt(t *testing.T, f func(tb testing.TB)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.finish()
		f(r)
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	return r
}

func TestTryReportsFailures(t *testing.T) {
	t.Parallel()
	require.Equal(t, "no", try(t, func(tb testing.TB) { tb.Fatalf("no") }))
	require.Empty(t, try(t, func(testing.TB) {}))
}
