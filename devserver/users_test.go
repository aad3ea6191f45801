package devserver_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
)

func TestUsers(t *testing.T) {
	srv := start(t, devserver.Credentials("admin", "all"), devserver.Users(
		devserver.User{Name: "orders", Password: "secret"},
		devserver.User{Name: "reader", Password: "secret", Publish: devserver.Permission{Deny: []string{"_STAN.pub.>"}}},
		devserver.User{Name: "writer", Password: "secret", Publish: devserver.Permission{
			Allow: []string{"_STAN.discover.>", "_STAN.close.>", "_STAN.pub.ticketing.ticket:created"},
		}},
	))
	as := func(name, password string) stan.Option { return stan.NatsOptions(nats.UserInfo(name, password)) }
	publishAndReceive(t, connect(t, srv, "admin", as("admin", "all")))
	publishAndReceive(t, connect(t, srv, "orders", as("orders", "secret")))

	reader := connect(t, srv, "reader", as("reader", "secret"), stan.PubAckWait(patience/20))
	assert.ErrorIs(t, reader.Publish("ticket:created", nil), stan.ErrTimeout)
	writer := connect(t, srv, "writer", as("writer", "secret"), stan.PubAckWait(patience/20))
	assert.NoError(t, writer.Publish("ticket:created", nil))
	assert.ErrorIs(t, writer.Publish("ticket:updated", nil), stan.ErrTimeout)

	_, err := nats.Connect(srv.URL(), nats.UserInfo("orders", "wrong"))
	assert.ErrorIs(t, err, nats.ErrAuthorization)
	_, err = nats.Connect(srv.URL())
	assert.ErrorIs(t, err, nats.ErrAuthorization)
}

func TestWithoutJetStream(t *testing.T) {
	srv := start(t, devserver.WithoutJetStream())
	publishAndReceive(t, connect(t, srv, "client"))
	js := jetStreamOf(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := js.AccountInfo(ctx)
	assert.ErrorIs(t, err, jetstream.ErrJetStreamNotEnabled)
}

func TestJetStreamSize(t *testing.T) {
	srv := start(t, devserver.JetStreamSize(4096))
	js := jetStreamOf(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "events", Subjects: []string{"ticket.>"}})
	require.NoError(t, err)
	_, err = js.Publish(ctx, "ticket.created", make([]byte, 1000))
	require.NoError(t, err)
	_, err = js.Publish(ctx, "ticket.created", make([]byte, 4000))
	if err == nil { // what was there before counts
		_, err = js.Publish(ctx, "ticket.created", nil)
	}
	assert.ErrorContains(t, err, "resource")
}

func jetStreamOf(t *testing.T, srv *devserver.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(srv.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}
