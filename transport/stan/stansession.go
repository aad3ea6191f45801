package stan

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
	"github.com/sgtickets/common/transport/internal/outbox"
)

const (
	// requestWait bounds each request to the streaming server: connecting,
	// subscribing, closing. It is stan.go's own default.
	requestWait = 2 * time.Second

	// There are two clocks. Pings of the NATS connection find a dead link. Pings of the
	// streaming session only let the server say that it does not know the client any more;
	// that the server says nothing does not end the session before the server would end it.
	sessionPing  = 1 // seconds, as stan.go has it
	sessionPings = 300
)

// stanSession is one session with the streaming server, as stan.go has it. Its methods may
// block, until the write deadline or the request wait at the latest. It is safe for
// concurrent use.
type stanSession interface {
	// publish sends a message, which it copies. The function that dial was given gets the
	// server's answer, with the same ticket and attempt. One publish is sent at a time.
	publish(subject string, data []byte, t transport.Ticket, a outbox.Attempt) error
	// subscribe opens a subscription, and returns what closes it. Closing it sends acknowledgements
	// again that may have gone down with a link. Its error isForgotten only if the server's store is
	// another one, not if an earlier request to close it was carried out.
	subscribe(s transport.SubscribeConfig, receive func(transport.Delivery)) (stan.Subscription, error)
	// check asks the server whether it knows the session. The error is errUnknown if not.
	check(ctx context.Context) error
	// checkRefusals waits until the NATS server has taken or refused all that was sent before,
	// and the owner was told of all that it has refused. Otherwise it returns an error.
	checkRefusals(ctx context.Context) error
	// drop ends the session without a word to the server.
	drop()
	// close tells the server that the client is gone, and ends the session. Acknowledgements that
	// may have gone down with a link are sent again before.
	close() error
	// connected tells whether the link to the NATS server is there.
	connected() bool
	// maxPayload is the NATS server's limit on messages.
	maxPayload() int64
}

// errUnknown means that the server does not know the session any more, or gave its client
// ID to another client.
var errUnknown = errors.New("the server does not know the client any more")

// dial makes one attempt to begin a session. answered is called with the server's answer to
// each publish, one at a time.
func dial(ctx context.Context, cfg transport.Config, user []nats.Option, watch *natsconn.Watch, //nolint:ireturn // the supervisor's seam to stan.go
	answered func(transport.Ticket, outbox.Attempt, error),
) (stanSession, error) {
	requests, violated := &requests{}, watch.Violated
	watch.Violated = func(v natsconn.Violation) {
		requests.onForbidden(v)
		violated(v)
	}
	nc, err := natsconn.Connect(ctx, cfg, watch.Apply, user)
	if err != nil {
		return nil, err
	}
	sc, err := await.Do(ctx, func() (stan.Conn, error) {
		sc, err := stan.Connect(cfg.ClusterID, cfg.ClientID, stanOptions(nc, watch.Closed)...)
		if err != nil {
			nc.Close()
		}
		return sc, err
	}, func(stan.Conn) {
		// No close request: it names the client ID alone, and would end a client that
		// has connected under it meanwhile. The server finds out that nobody answers.
		nc.Close()
	})
	if err != nil {
		return nil, explain(err, cfg, watch.Forbidden())
	}
	s := &stanGoSession{nc: nc, sc: sc, watch: watch}
	if s.publishLink, err = newPublishLink(nc, sc, cfg.ClientID, answered); err != nil {
		s.drop()
		return nil, explain(err, cfg, watch.Forbidden())
	}
	return guard(s, requests), nil
}

// stanOptions are the options of the streaming connection on nc.
func stanOptions(nc *nats.Conn, lost func(error)) []stan.Option {
	return []stan.Option{
		stan.NatsConn(nc),
		stan.ConnectWait(requestWait),
		stan.Pings(sessionPing, sessionPings),
		stan.SetConnectionLostHandler(func(_ stan.Conn, err error) { lost(err) }),
	}
}

// stanGoSession implements stanSession.
type stanGoSession struct {
	*publishLink
	innerSubscriptions

	nc    *nats.Conn
	sc    stan.Conn
	watch *natsconn.Watch
}

func (s *stanGoSession) subscribe(config transport.SubscribeConfig, receive func(transport.Delivery)) (stan.Subscription, error) {
	inner := newInnerSubscription(s, config)
	handler := func(m *stan.Msg) {
		<-inner.opened
		m.Sub = inner
		receive(delivery(m))
	}
	opts := []stan.SubscriptionOption{
		stan.SetManualAckMode(),
		stan.AckWait(config.AckWait),
		stan.MaxInflight(config.MaxInFlight),
		startAt(config.Start),
	}
	if config.Durable != "" {
		opts = append(opts, stan.DurableName(config.Durable))
	}
	if config.Group != "" {
		return inner.open(s.sc.QueueSubscribe(config.Subject, config.Group, handler, opts...))
	}
	return inner.open(s.sc.Subscribe(config.Subject, handler, opts...))
}

func (s *stanGoSession) drop() {
	s.nc.Close()
	_ = s.sc.Close() // which stops its timers, and can't send anything any more
}

func (s *stanGoSession) close() error {
	defer s.nc.Close()
	s.resendAcks()
	return s.sc.Close()
}

func (s *stanGoSession) checkRefusals(ctx context.Context) error { return s.watch.Check(ctx, s.nc) }

func (s *stanGoSession) connected() bool { return s.nc.IsConnected() }

func (s *stanGoSession) maxPayload() int64 { return s.nc.MaxPayload() }

// check sends the ping by which stan.go itself finds out, but not only once a
// second. stan.go keeps what is in it to itself, so that it is read by reflection;
// stan.go does not change any more, and a test would tell.
func (s *stanGoSession) check(ctx context.Context) error {
	subject, ping, err := pingOf(s.sc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	m, err := s.nc.RequestWithContext(ctx, subject, ping)
	if err != nil {
		return fmt.Errorf("the streaming server did not answer: %w", err)
	}
	answer := &pb.PingResponse{}
	if len(m.Data) > 0 { // a session that is known needs no words
		if err := answer.Unmarshal(m.Data); err != nil {
			return fmt.Errorf("the streaming server's answer is not understood: %w", err)
		}
	}
	if answer.Error != "" {
		return fmt.Errorf("%w: %s", errUnknown, answer.Error)
	}
	return nil
}

// pingOf reads the ping of a session out of stan.go.
func pingOf(sc stan.Conn) (subject string, ping []byte, err error) {
	info := reflect.Indirect(reflect.ValueOf(sc)).FieldByName("ping")
	if !info.IsValid() {
		return "", nil, fmt.Errorf("ping of %T: %w", sc, transport.ErrUnsupported)
	}
	requests, proto := info.FieldByName("requests"), info.FieldByName("proto")
	if requests.Kind() != reflect.String || proto.Kind() != reflect.Slice || requests.Len() == 0 {
		return "", nil, fmt.Errorf("ping of %T: %w", sc, transport.ErrUnsupported)
	}
	return requests.String(), append([]byte(nil), proto.Bytes()...), nil
}

// startAt asks for a position.
func startAt(p transport.Position) stan.SubscriptionOption {
	switch p.Kind() {
	case transport.StartNewOnly:
		return stan.StartAt(pb.StartPosition_NewOnly)
	case transport.StartLastReceived:
		return stan.StartWithLastReceived()
	case transport.StartSequence:
		return stan.StartAtSequence(p.Sequence())
	case transport.StartTime, transport.StartAgo:
		// The protocol carries how long ago that is, and the server counts back from
		// when the request reaches it: what was stored right after the moment asked
		// for would be skipped. A request takes at most requestWait.
		return stan.StartAtTime(p.Time(time.Now()).Add(-requestWait))
	default:
		return stan.DeliverAllAvailable()
	}
}

// explain says what a failed connect request means.
func explain(err error, cfg transport.Config, forbidden error) error {
	at := natsconn.Redact(cfg.URL)
	switch {
	case forbidden != nil && (isUnanswered(err) || errors.Is(err, context.Canceled)):
		return fmt.Errorf("%w for client %q: %w", transport.ErrForbidden, cfg.ClientID, forbidden)
	case errors.Is(err, stan.ErrConnectReqTimeout),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: no streaming server with cluster ID %q behind %s: %w", transport.ErrNoCluster, cfg.ClusterID, at, err)
	case err.Error() == errClientIDRegistered:
		return fmt.Errorf("%w: %q in cluster %q: %w", transport.ErrClientIDTaken, cfg.ClientID, cfg.ClusterID, err)
	case err.Error() == errInvalidClientID:
		return fmt.Errorf("%w client ID %q: %w", transport.ErrInvalid, cfg.ClientID, err)
	default:
		return fmt.Errorf("%w: cluster %q behind %s: %w", transport.ErrRefused, cfg.ClusterID, at, err)
	}
}

// isUnconnected tells whether a request failed for want of a connection, which is
// about to be reported.
func isUnconnected(err error) bool {
	for _, known := range []error{
		nats.ErrReconnectBufExceeded, nats.ErrConnectionClosed, nats.ErrDisconnected, nats.ErrConnectionReconnecting,
		stan.ErrConnectionClosed, stan.ErrBadConnection,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// leavesGhost tells whether the server may have a subscription that nobody here has.
func leavesGhost(err error) bool {
	return err != nil && (errors.Is(err, stan.ErrSubReqTimeout) || err.Error() == errDuplicateDurable)
}

// endsSession tells whether the server does not know the client that asked.
func endsSession(err error) bool { return err != nil && err.Error() == errUnknownClientID }

// isForgotten tells whether the server does not know a subscription that it has confirmed.
func isForgotten(err error) bool { return err != nil && err.Error() == errUnknownSubscription }

// isUnheard tells whether the server may not have got a request to close a
// subscription. stan.go sends it again when asked to.
func isUnheard(err error) bool {
	return isUnconnected(err) || errors.Is(err, stan.ErrCloseReqTimeout)
}

// Texts of the server's answers: the protocol carries no code. They stand in
// server/server.go of nats-streaming-server, which does not change any more.
const (
	errClientIDRegistered  = "stan: clientID already registered"
	errInvalidClientID     = "stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed"
	errUnknownClientID     = "stan: unknown clientID"
	errUnknownSubscription = "stan: invalid subscription"
	errDuplicateDurable    = "stan: duplicate durable registration"
	// Those of package stores.
	errTooManySubscriptions = "too many subscriptions"
	errTooManyChannels      = "too many channels"
)
