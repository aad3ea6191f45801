// Package observing tells observers what happens. An observer that panics reaches neither
// the publish or the handler that it observes, nor the other observers.
package observing

import (
	"log/slog"
	"runtime/debug"

	"github.com/sgtickets/common/observe"
)

// Tell calls each observer with o, in order. A panic of one is logged.
func Tell(log *slog.Logger, observers []observe.Observer, o observe.Observation) {
	for _, observer := range observers {
		tell(log, observer, o)
	}
}

func tell(log *slog.Logger, observer observe.Observer, o observe.Observation) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("observer panicked", slog.String("kind", o.Kind.String()), slog.String("subject", string(o.Subject)),
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	observer.Observe(o)
}
