package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConnectReadsTheEnvironment: a member logs in as every other client does.
func TestConnectReadsTheEnvironment(t *testing.T) {
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	for name, value := range map[string]string{
		"NATS_CREDS": filepath.Join(t.TempDir(), "none"), "NATS_CA": filepath.Join(t.TempDir(), "none"),
		"NATS_PASSWORD": "alone", "NATS_TRANSPORT": "Jetstream",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := connect(t.Context(), "orders-1")
			require.ErrorIs(t, err, client.ErrInvalid)
			require.ErrorContains(t, err, name)
		})
	}
}
