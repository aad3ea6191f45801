package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream/internal/consuming"
)

// askServer asks the server what the machine wants to know or have done, and tells the
// machine the answer. ctx ends when the link that the question went over is replaced: the
// machine has asked anew by then, and an answer that still comes carries a number that it
// does not wait for.
func (s *subscription) askServer(ctx context.Context, question consuming.Effect) {
	switch question.Do {
	case consuming.FindStream:
		s.findStream(ctx, question.Call, question.Sequence)
	case consuming.CreateConsumer:
		s.createConsumer(ctx, question.Call, question.Sequence)
	default:
		s.findConsumer(ctx, question.Call, question.Do == consuming.CheckConsumer)
	}
}

// findStream finds the stream, which is created if it is gone and may be, and when its message
// of that sequence was stored.
func (s *subscription) findStream(ctx context.Context, call, sequence uint64) {
	info, err := s.conn.findStream(ctx)
	var stream consuming.Stream
	if err != nil {
		err = s.conn.explain(err)
	} else {
		stream = consuming.Stream{Created: info.Created, LastSequence: info.State.LastSeq, Stored: s.conn.storedAt(ctx, sequence)}
	}
	s.step(func(m *consuming.Machine, now time.Time) { m.StreamFound(now, call, stream, err) })
}

// storedAt returns when the stream's message of that sequence was stored; zero if it is not
// there, or that can't be found out.
func (c *conn) storedAt(ctx context.Context, sequence uint64) time.Time {
	if sequence == 0 {
		return time.Time{}
	}
	m, err := request(ctx, c, func(ctx context.Context) (*js.RawStreamMsg, error) {
		stream, err := c.js.Stream(ctx, c.cfg.ClusterID)
		if err != nil {
			return nil, err
		}
		return stream.GetMsg(ctx, sequence)
	})
	if err != nil {
		return time.Time{}
	}
	return m.Time
}

// findConsumer asks for the consumer's state, and whether it is what was asked for, if check.
func (s *subscription) findConsumer(ctx context.Context, call uint64, check bool) {
	c := s.conn
	find := s.lookUpConsumer
	if check {
		find = func(ctx context.Context) (*js.ConsumerInfo, error) {
			return c.ensureConsumer(ctx, s.consumer, s.config)
		}
	}
	info, err := find(ctx)
	found := s.infoOf(info)
	if err == nil && !check {
		err = s.lookAtStream(ctx, &found)
	}
	gone := errors.Is(err, js.ErrConsumerNotFound) || errors.Is(err, js.ErrStreamNotFound)
	switch {
	case ctx.Err() != nil, check:
	case err == nil || gone:
		c.apiAnswered()
	default:
		c.apiSilent(s.consumer.name, err)
	}
	if err != nil && !check {
		err = c.explainConsumer(err, c.options.newConsumer(s.consumer, s.config))
	}
	if info != nil {
		s.listenForGivenUp(info.Config)
	}
	s.step(func(m *consuming.Machine, now time.Time) { m.ConsumerFound(now, call, found, gone, err) })
}

// lookAtStream asks for the first and the last sequence of the stream, and what it does with the
// subject.
func (s *subscription) lookAtStream(ctx context.Context, found *consuming.Info) error {
	info, err := request(ctx, s.conn, func(ctx context.Context) (*js.StreamInfo, error) {
		stream, err := s.conn.js.Stream(ctx, s.conn.cfg.ClusterID)
		if err != nil {
			return nil, err
		}
		return stream.CachedInfo(), nil
	})
	if err != nil {
		return err
	}
	found.Stream = consuming.Bounds{Known: true, Last: info.State.LastSeq}
	if info.Config.Retention == js.LimitsPolicy { // else what is acknowledged is removed
		found.Stream.First = info.State.FirstSeq
	}
	subject := s.config.Subject
	// What a stream has from other streams need not be among its subjects.
	found.Lacks = info.Config.Mirror == nil && len(info.Config.Sources) == 0 && !newSubjectSet(info.Config.Subjects).takes(subject)
	if found.Lacks && s.conn.options.addsSubjects() {
		s.conn.mindSubject(subject)
	}
	if by := info.Config.SubjectTransform; by != nil && (by.Source == "" || transport.Overlap(by.Source, subject)) {
		found.Transform = fmt.Sprintf("from %q to %q", by.Source, by.Destination)
	}
	return nil
}

func (s *subscription) lookUpConsumer(ctx context.Context) (*js.ConsumerInfo, error) {
	return request(ctx, s.conn, func(ctx context.Context) (*js.ConsumerInfo, error) {
		consumer, err := s.conn.js.Consumer(ctx, s.conn.cfg.ClusterID, s.consumer.name)
		if err != nil {
			return nil, err
		}
		return consumer.CachedInfo(), nil
	})
}

// createConsumer creates the consumer again, to begin at that sequence, or with all
// that the stream holds if it is 0. That is not asked again over the next link: the stream may
// be another one by then, of which the consumer would skip what lies below. The machine looks
// at the stream first.
func (s *subscription) createConsumer(ctx context.Context, call, from uint64) {
	c := s.conn
	asked := c.options.newConsumer(s.consumer, s.config)
	asked.DeliverPolicy, asked.OptStartSeq, asked.OptStartTime = js.DeliverAllPolicy, 0, nil
	if from > 0 {
		asked.DeliverPolicy, asked.OptStartSeq = js.DeliverByStartSequencePolicy, from
	}
	var info *js.ConsumerInfo
	consumer, err := c.createConsumer(ctx, asked, requestOnce[js.Consumer])
	if err != nil {
		err = c.explainConsumer(err, asked)
	} else {
		info = consumer.CachedInfo()
	}
	s.step(func(m *consuming.Machine, now time.Time) { m.ConsumerCreated(now, call, infoOf(info), err) })
}

// infoOf is what the machine needs to know of a consumer; info may be nil.
func infoOf(info *js.ConsumerInfo) consuming.Info {
	if info == nil {
		return consuming.Info{}
	}
	return consuming.Info{
		Created: info.Created, AckWait: waitFor(info.Config),
		MaxBatch: info.Config.MaxRequestBatch, MaxExpires: info.Config.MaxRequestExpires, MaxDeliver: maxDeliver(info.Config),
		AckFloor: info.AckFloor.Stream, Delivered: info.Delivered.Stream, Deliveries: info.Delivered.Consumer, Pending: info.NumPending,
		Settings: settingsOf(info),
	}
}

// infoOf is infoOf for a consumer that may be for another subject by now.
func (s *subscription) infoOf(info *js.ConsumerInfo) consuming.Info {
	found := infoOf(info)
	if info == nil {
		return found
	}
	if filter := filterOf(info.Config); filter != s.config.Subject {
		found.OtherFilter = cmp.Or(filter, ">")
	}
	return found
}

func settingsOf(info *js.ConsumerInfo) consuming.Settings {
	is := consuming.Settings{
		AckPending: info.NumAckPending, MaxAckPending: max(info.Config.MaxAckPending, 0),
		Paused: info.Paused, Priority: len(info.Config.PriorityGroups) > 0,
	}
	if info.Config.PauseUntil != nil {
		is.PausedUntil = *info.Config.PauseUntil
	}
	return is
}

// apiSilent deals with a request to JetStream's API that was not answered. When
// that goes on while nats.go still reports connected, it forces a reconnect.
func (c *conn) apiSilent(consumer string, err error) {
	c.mu.Lock()
	again := !c.silentSince.IsZero() && time.Since(c.silentSince) > consuming.Heartbeat/2 // others fail at the same moment
	if c.silentSince.IsZero() {
		c.silentSince = time.Now()
	} else if again {
		c.silentSince = time.Time{}
	}
	c.mu.Unlock()
	if c.silent.due() {
		c.log.Warn("no answer from JetStream about a consumer: events may be missing", slog.String("consumer", consumer), slog.Any("error", err))
	}
	if again && errors.Is(err, context.DeadlineExceeded) && c.nc.IsConnected() {
		_ = c.nc.ForceReconnect()
	}
}

// apiAnswered notes that JetStream's API answers.
func (c *conn) apiAnswered() {
	c.mu.Lock()
	c.silentSince = time.Time{}
	c.mu.Unlock()
}

// Backlog implements [transport.BacklogCounter].
func (s *subscription) Backlog(ctx context.Context) (uint64, error) {
	info, err := s.lookUpConsumer(ctx)
	if err != nil {
		return 0, s.conn.explain(err)
	}
	return info.NumPending, nil
}
