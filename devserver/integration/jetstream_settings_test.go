package integration_test

import (
	"log/slog"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestJetStreamSettingsAreWarnedOf: of what operators have set, also without the option that
// asks for something else, and not of what an option asks for.
func TestJetStreamSettingsAreWarnedOf(t *testing.T) {
	t.Parallel()
	for setting, tc := range map[string]struct {
		config js.StreamConfig
		asked  jetstream.Option // nil: no option asks for that
	}{
		"max_msgs is 5, not -1":                 {js.StreamConfig{MaxMsgs: 5}, jetstream.MaxMessages(5)},
		"max_bytes is 5000, not -1":             {js.StreamConfig{MaxBytes: 5000}, jetstream.MaxBytes(5000)},
		"max_msgs_per_subject is 1, not -1":     {js.StreamConfig{MaxMsgsPerSubject: 1}, nil},
		"max_age is 1h0m0s, not 0s":             {js.StreamConfig{MaxAge: time.Hour}, jetstream.MaxAge(time.Hour)},
		"duplicate_window is 10s, not 2m0s":     {js.StreamConfig{Duplicates: 10 * time.Second}, jetstream.DuplicateWindow(10 * time.Second)},
		"discard is DiscardOld, not DiscardNew": {js.StreamConfig{}, jetstream.DiscardOld()},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := newStream(t)
			if tc.config.Subjects = []string{s.name}; setting[:7] != "discard" {
				tc.config.Discard = js.DiscardNew
			}
			s.create(t, tc.config)
			require.Contains(t, s.warnings(t, jetstream.BindOnly()), setting)
			require.Contains(t, s.warnings(t), setting)
			require.Contains(t, s.warnings(t, jetstream.UpdateStream()), setting, "what no option asks for stays as it is")
			if tc.asked != nil {
				require.Empty(t, s.warnings(t, tc.asked))
			}
			require.Equal(t, tc.config.MaxMsgs != 0, s.info(t).Config.MaxMsgs > 0)
		})
	}
}

// TestJetStreamOwnSettingsAreNotWarnedOf: the client that has made the stream has nothing to say.
func TestJetStreamOwnSettingsAreNotWarnedOf(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]jetstream.Option{
		nil,
		{jetstream.MaxAge(time.Minute)},
		{jetstream.DiscardOld(), jetstream.MaxBytes(1 << 20), jetstream.MaxMessages(100), jetstream.DuplicateWindow(time.Minute)},
	} {
		s := newStream(t)
		require.Empty(t, s.warnings(t, opts...))
		require.Empty(t, s.warnings(t, opts...), "it is there already")
	}
}

// warnings connects to the stream, and returns what is warned of.
func (s *jetStream) warnings(t *testing.T, opts ...jetstream.Option) string {
	t.Helper()
	var log lockedBuffer
	c, err := s.build(t, "orders", append(opts, jetstream.OnlySubjects(s.name)),
		client.Logger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	require.NoError(t, err)
	closeClient(t, c)
	return log.String()
}
