package integration_test

import (
	"strings"
	"testing"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestJetStreamLimitsAreNamed: the error of a publish names the limit that is reached, and what
// raises that one.
func TestJetStreamLimitsAreNamed(t *testing.T) {
	t.Parallel()
	type messages struct{}
	type bytes struct{}
	type perSubject struct{}
	type bound struct{}
	t.Run("messages", func(t *testing.T) {
		t.Parallel()
		limitIsNamed[messages](t, js.StreamConfig{MaxMsgs: 1}, "max_msgs 1: raise it (option MaxMessages with UpdateStream)", "MaxBytes")
	})
	t.Run("bytes", func(t *testing.T) {
		t.Parallel()
		limitIsNamed[bytes](t, js.StreamConfig{MaxBytes: 5000}, "max_bytes 5000: raise it (option MaxBytes with UpdateStream)", "MaxMessages")
	})
	t.Run("per subject", func(t *testing.T) {
		t.Parallel()
		limitIsNamed[perSubject](t, js.StreamConfig{MaxMsgsPerSubject: 1, DiscardNewPerSubject: true},
			"ask who manages the stream to raise max_msgs_per_subject", "MaxMessages", "MaxBytes", "DiscardOld")
	})
	t.Run("BindOnly", func(t *testing.T) {
		t.Parallel()
		limitIsNamed[bound](t, js.StreamConfig{MaxMsgs: 1}, "max_msgs 1: ask who manages the stream to raise it", "UpdateStream")
	})
}

func limitIsNamed[Tag any](t *testing.T, config js.StreamConfig, says string, not ...string) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	config.Subjects, config.Discard = []string{subject}, js.DiscardNew
	s.create(t, config)
	opts := []jetstream.Option{jetstream.OnlySubjects(subject)}
	if strings.HasSuffix(t.Name(), "BindOnly") {
		opts = append(opts, jetstream.BindOnly())
	}
	c, err := s.build(t, "publisher", opts)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	p, err := publisher.New[note[Tag]](c)
	require.NoError(t, err)
	event := note[Tag]{Text: strings.Repeat("x", 3000)}
	require.NoError(t, p.Publish(deadline(t), event))
	err = p.Publish(deadline(t), event)
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, says)
	for _, option := range not {
		require.NotContains(t, err.Error(), option, "that does not help")
	}
}

// TestJetStreamAccountLimitsAreNamed: what the account requires, and what it has left.
func TestJetStreamAccountLimitsAreNamed(t *testing.T) {
	t.Parallel()
	server := configured(t, `accounts {
		REQUIRED: { jetstream: {max_file: 10mb, max_mem: 1mb, max_bytes_required: true}, users: [{user: required, password: secret}] }
		SMALL: { jetstream: {max_file: 10mb, max_mem: 1mb, max_streams: 1}, users: [{user: small, password: secret}] }
	}
	no_auth_user: small
	`)
	for _, tc := range []struct {
		user, says string
		opts       []jetstream.Option
	}{
		{"required", "give it option MaxBytes", nil},
		{"small", "lower option MaxBytes (20000000)", []jetstream.Option{jetstream.MaxBytes(20_000_000)}},
	} {
		_, err := client.Build(shortly(t), "ticketing", "orders", strings.Replace(server.ClientURL(), "nats://", "nats://"+tc.user+":secret@", 1),
			quiet(), client.JetStream(tc.opts...))
		require.ErrorContains(t, err, tc.says, tc.user)
	}
	small := streamOn(t, server.ClientURL())
	small.create(t, js.StreamConfig{Subjects: []string{"theirs"}})
	_, err := client.Build(shortly(t), "ticketing", "orders", server.ClientURL(), quiet(), client.JetStream())
	require.ErrorContains(t, err, "the account has as many streams as it may")
}

// TestJetStreamBoundLacksASubject: BindOnly refuses AddSubjects, so that no error names it.
func TestJetStreamBoundLacksASubject(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{s.name}})
	c := s.bind(t, "bound")
	err := listenRaw(t, c, subject, ignore)
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "has to add")
	require.NotContains(t, err.Error(), "AddSubjects")
	err = publishRaw(deadline(t), c, subject)
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.NotContains(t, err.Error(), "AddSubjects")
}
