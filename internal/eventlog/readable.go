package eventlog

import (
	"context"
	"log/slog"
)

// Readable returns a logger whose durations can be read: slog's JSON handler writes a
// duration as a number of nanoseconds, and gets its text here, such as "1.5s".
func Readable(log *slog.Logger) *slog.Logger {
	if _, ok := log.Handler().(readable); ok || log.Handler() == slog.DiscardHandler {
		return log
	}
	return slog.New(readable{log.Handler()})
}

// readable is a handler that replaces durations by their texts.
type readable struct{ slog.Handler }

func (h readable) Handle(ctx context.Context, r slog.Record) error {
	found := false
	r.Attrs(func(a slog.Attr) bool { found = isDuration(a); return !found })
	if !found {
		return h.Handler.Handle(ctx, r)
	}
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool { clean.AddAttrs(readableAttr(a)); return true })
	return h.Handler.Handle(ctx, clean)
}

func (h readable) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, 0, len(attrs))
	for _, a := range attrs {
		clean = append(clean, readableAttr(a))
	}
	return readable{h.Handler.WithAttrs(clean)}
}

func (h readable) WithGroup(name string) slog.Handler { return readable{h.Handler.WithGroup(name)} }

func isDuration(a slog.Attr) bool { return a.Value.Kind() == slog.KindDuration }

func readableAttr(a slog.Attr) slog.Attr {
	if isDuration(a) {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}
