package client_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
)

// TestCredentialsFromEnvAreRefused where they contradict one another or can't be used, and
// the variable is named. devserver's tests log in with them.
func TestCredentialsFromEnvAreRefused(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk")
	require.NoError(t, os.WriteFile(junk, []byte("junk"), 0o600))
	missing := filepath.Join(t.TempDir(), "missing")
	login := client.NATS(nats.UserInfo("a", "b"))
	for _, tc := range []struct {
		env  map[string]string
		opts []client.Option
		text string
	}{
		{map[string]string{"NATS_PASSWORD": "hunter2"}, nil, "NATS_PASSWORD: it needs NATS_USER"},
		{map[string]string{"NATS_USER": "orders"}, nil, "NATS_USER: it needs NATS_PASSWORD"},
		{map[string]string{"NATS_USER": "orders", "NATS_PASSWORD": "hunter2", "NATS_TOKEN": "t"}, nil, "NATS_TOKEN: NATS_USER is set, too"},
		{map[string]string{"NATS_TOKEN": "hunter2", "NATS_URL": "nats://a:hunter2@b"}, nil, "NATS_TOKEN: the URL holds credentials, too"},
		{map[string]string{"NATS_TOKEN": "hunter2"}, []client.Option{login}, "NATS_TOKEN: the program's option NATS gives credentials, too"},
		{map[string]string{"NATS_CREDS": missing}, nil, "NATS_CREDS: open " + missing},
		{map[string]string{"NATS_CREDS": junk}, nil, "NATS_CREDS: " + junk + " is not a credentials file"},
		{map[string]string{"NATS_NKEY_SEED_FILE": missing}, nil, "NATS_NKEY_SEED_FILE: open " + missing},
		{map[string]string{"NATS_NKEY_SEED_FILE": junk}, nil, "NATS_NKEY_SEED_FILE: " + junk + " does not hold the seed"},
		{map[string]string{"NATS_CA": missing}, nil, "NATS_CA: open " + missing},
		{map[string]string{"NATS_CA": junk}, nil, "NATS_CA: " + junk + " holds no certificate"},
		{map[string]string{"NATS_CERT": junk}, nil, "NATS_CERT: it needs NATS_KEY"},
		{map[string]string{"NATS_KEY": junk}, nil, "NATS_KEY: it needs NATS_CERT"},
		{map[string]string{"NATS_CERT": missing, "NATS_KEY": junk}, nil, "NATS_CERT: open " + missing},
		{map[string]string{"NATS_CERT": junk, "NATS_KEY": missing}, nil, "NATS_KEY: open " + missing},
		{map[string]string{"NATS_CERT": junk, "NATS_KEY": junk}, nil, "NATS_CERT and NATS_KEY: " + junk},
	} {
		t.Run(tc.text, func(t *testing.T) {
			for name, value := range tc.env {
				t.Setenv(name, value)
			}
			_, err := client.FromEnv(t.Context(), append([]client.Option{quiet()}, tc.opts...)...)
			require.ErrorIs(t, err, client.ErrInvalid)
			require.ErrorContains(t, err, tc.text)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// TestCredentialsFromEnvAreNotForOtherTransports: they are not read where option Transport is given.
func TestCredentialsFromEnvAreNotForOtherTransports(t *testing.T) {
	t.Setenv("NATS_TOKEN", "t")
	t.Setenv("NATS_CA", "/nowhere")
	c, err := client.FromEnv(t.Context(), quiet(), client.Transport((&fakeconn.Conn{}).Dialer()))
	require.NoError(t, err)
	require.NoError(t, c.Close(t.Context()))
}
