package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// inactive is how long the server keeps a consumer without durable that nobody
// asks for events: its process died, or lost its connection.
const inactive = time.Minute

// startedAt is the metadata of a consumer that says where it was asked to begin.
// One that was made again begins elsewhere.
const startedAt = "start"

// startedSeq is the sequence that belongs to it, if one does.
const startedSeq = "start_seq"

// consumerRef names the consumer from which a subscription reads.
type consumerRef struct {
	name    string
	durable bool
	shared  bool // by the members of a queue group
}

func (c *conn) consumerOf(s transport.SubscribeConfig) consumerRef {
	switch {
	case s.Group != "" && s.Durable != "":
		return consumerRef{ConsumerName(s.Subject, s.Group, s.Durable), true, true}
	case s.Group != "":
		return consumerRef{join(s.Subject, s.Group, ""), false, true}
	case s.Durable != "":
		// As with NATS Streaming it is the client's own.
		return consumerRef{join(s.Subject, "", s.Durable, c.cfg.ClientID), true, false}
	case c.options.bindOnly: // operators make it: its name can't be left to chance
		return consumerRef{join(s.Subject, "", "", c.cfg.ClientID), true, false}
	default:
		return consumerRef{join(s.Subject, "", "", rand.Text()), false, false}
	}
}

func (o options) newConsumer(ref consumerRef, s transport.SubscribeConfig) js.ConsumerConfig {
	config := js.ConsumerConfig{
		Name: ref.name, FilterSubject: s.Subject, AckPolicy: js.AckExplicitPolicy, ReplayPolicy: js.ReplayInstantPolicy,
		MaxDeliver: -1, MaxAckPending: -1, AckWait: s.AckWait,
	}
	if ref.durable {
		config.Durable = ref.name
	} else {
		config.InactiveThreshold = inactive
	}
	set(&config.MaxAckPending, o.maxAckPending)
	startAt(&config, s.Start)
	config.Metadata = map[string]string{startedAt: config.DeliverPolicy.String()}
	if config.OptStartSeq > 0 {
		config.Metadata[startedSeq] = strconv.FormatUint(config.OptStartSeq, 10)
	}
	if s.EventType != "" {
		config.Metadata[eventType] = s.EventType
	}
	return config
}

func startAt(config *js.ConsumerConfig, p transport.Position) {
	switch p.Kind() {
	case transport.StartNewOnly:
		config.DeliverPolicy = js.DeliverNewPolicy
	case transport.StartLastReceived:
		config.DeliverPolicy = js.DeliverLastPolicy
	case transport.StartSequence:
		config.DeliverPolicy = js.DeliverByStartSequencePolicy
		config.OptStartSeq = p.Sequence()
	case transport.StartTime, transport.StartAgo:
		config.DeliverPolicy = js.DeliverByStartTimePolicy
		from := p.Time(time.Now())
		config.OptStartTime = &from
	default:
		config.DeliverPolicy = js.DeliverAllPolicy
	}
}

// ensureConsumer makes the consumer, or finds out whether the one that is there
// will do.
func (c *conn) ensureConsumer(ctx context.Context, ref consumerRef, s transport.SubscribeConfig) (*js.ConsumerInfo, error) {
	asked := c.options.newConsumer(ref, s)
	if err := c.ensureListenable(ctx, s.Subject); err != nil {
		return nil, err
	}
	get := c.consumerNamed(ref.name)
	consumer, err := request(ctx, c, get)
	if errors.Is(err, js.ErrStreamNotFound) && !c.options.bindOnly { // it is gone since
		if _, err = c.findStream(ctx); err == nil {
			consumer, err = request(ctx, c, get)
		}
	}
	if errors.Is(err, js.ErrConsumerNotFound) {
		consumer, err = c.createConsumer(ctx, asked, request[js.Consumer])
	}
	if err != nil {
		return nil, c.explainConsumer(err, asked)
	}
	info := consumer.CachedInfo()
	if err := startsElsewhere(info.Config, asked); err != nil && hasPlace(info) {
		c.log.Warn("option StartAt has no effect: the consumer goes on from where it stands", slog.String("consumer", ref.name), slog.Any("differences", err))
	}
	if err := otherConsumer(info, asked); err != nil {
		return nil, fmt.Errorf("%w: consumer %q is another one than asked for: %w; use another durable name, or delete this one (DeleteDurable)",
			transport.ErrInvalid, ref.name, err)
	}
	if info, err = c.adjustEventType(ctx, info, asked); err != nil {
		return nil, err
	}
	info, err = c.adjustConsumer(ctx, info, asked)
	if err == nil {
		c.warnOfConsumer(info, ref, s)
	}
	return info, err
}

// warnOfConsumer says which settings of operators hold events back, or lose the group's place.
func (c *conn) warnOfConsumer(info *js.ConsumerInfo, ref consumerRef, s transport.SubscribeConfig) {
	is := info.Config
	var d differences
	if limit := is.MaxAckPending; limit > 0 && limit < s.MaxInFlight {
		d = append(d, fmt.Sprintf("max_ack_pending is %d, for all members together, and the listener's MaxInFlight is %d: fewer events than that are delivered; "+
			"raise it (option MaxAckPending with UpdateConsumer)", limit, s.MaxInFlight))
	}
	if ref.durable && is.InactiveThreshold > 0 {
		d = append(d, fmt.Sprintf("inactive_threshold is %v: when no member is there for so long, "+
			"the server forgets the consumer and its place; set it to 0", is.InactiveThreshold))
	}
	if len(is.PriorityGroups) > 0 {
		d = append(d, fmt.Sprintf("priority_groups is %v: the server refuses the listener's requests, which name none; remove it", is.PriorityGroups))
	}
	if len(d) > 0 {
		c.log.Warn("settings of the consumer hold events back or can lose them", slog.String("consumer", info.Name), slog.Any("settings", d.err()))
	}
}

// consumerRequest is request or requestOnce for a consumer.
type consumerRequest func(context.Context, *conn, func(context.Context) (js.Consumer, error)) (js.Consumer, error)

func (c *conn) createConsumer(ctx context.Context, asked js.ConsumerConfig, ask consumerRequest) (js.Consumer, error) { //nolint:ireturn // it is what nats.go has
	if c.options.bindOnly {
		return nil, js.ErrConsumerNotFound
	}
	if asked.Durable == "" {
		// Otherwise it is kept on one server only, and lost to its members with that.
		c.mu.Lock()
		asked.Replicas = c.stream.Replicas
		c.mu.Unlock()
	}
	consumer, err := ask(ctx, c, func(ctx context.Context) (js.Consumer, error) {
		return c.js.CreateConsumer(ctx, c.cfg.ClusterID, asked)
	})
	if errors.Is(err, js.ErrConsumerExists) { // another member made it meanwhile
		return ask(ctx, c, c.consumerNamed(asked.Name))
	}
	return consumer, err
}

// otherConsumer returns what makes a consumer another one than asked for, field by field.
func otherConsumer(info *js.ConsumerInfo, asked js.ConsumerConfig) error {
	var d differences
	is := info.Config
	if err := startsElsewhere(is, asked); err != nil && !hasPlace(info) {
		d = append(d, err.Error())
	}
	differ(&d, "filter_subject", filterOf(is), asked.FilterSubject, "")
	differ(&d, "ack_policy", is.AckPolicy, asked.AckPolicy, "events would count as handled that were not")
	differ(&d, "replay_policy", is.ReplayPolicy, asked.ReplayPolicy, "")
	differ(&d, "headers_only", is.HeadersOnly, false, "the events would be empty")
	return d.err()
}

// filterOf returns the subjects that a consumer is for. filter_subjects with one entry is
// what filter_subject is.
func filterOf(config js.ConsumerConfig) string {
	switch len(config.FilterSubjects) {
	case 0:
		return config.FilterSubject
	case 1:
		return config.FilterSubjects[0]
	default:
		return fmt.Sprint(config.FilterSubjects)
	}
}

// hasPlace tells whether a consumer goes on from where it stands, wherever it once began.
func hasPlace(info *js.ConsumerInfo) bool {
	return info.Delivered.Consumer > 0 || info.AckFloor.Consumer > 0
}

// startsElsewhere returns how the start of a consumer that this library made differs from what
// is asked for. Where others let a consumer begin is their affair: so a place is restored.
func startsElsewhere(is, asked js.ConsumerConfig) error {
	start, ours := is.Metadata[startedAt]
	if !ours {
		return nil
	}
	var d differences
	const hint = "StartAt has no effect on a consumer that is there"
	differ(&d, "deliver_policy", start, asked.DeliverPolicy.String(), hint)
	if len(d) == 0 && asked.OptStartSeq > 0 {
		seq, known := is.Metadata[startedSeq]
		if !known {
			seq = strconv.FormatUint(is.OptStartSeq, 10)
		}
		differ(&d, "opt_start_seq", seq, strconv.FormatUint(asked.OptStartSeq, 10), hint)
	}
	return d.err()
}

// adjustConsumer gives the consumer the tuning that was asked for, or says where
// it differs.
func (c *conn) adjustConsumer(ctx context.Context, info *js.ConsumerInfo, asked js.ConsumerConfig) (*js.ConsumerInfo, error) {
	info = c.liftMaxDeliver(ctx, info)
	is := info.Config
	var d differences
	differ(&d, "ack_wait", is.AckWait, asked.AckWait, "")
	if c.options.maxAckPending != nil {
		differ(&d, "max_ack_pending", is.MaxAckPending, asked.MaxAckPending, "")
	}
	differ(&d, "backoff", len(is.BackOff), 0, "it takes the place of the ack wait")
	if len(d) == 0 {
		return info, nil
	}
	if !c.options.updateConsumer {
		c.log.Warn("the consumer's settings differ from what was asked for, and are used as they are; option UpdateConsumer changes them",
			slog.String("consumer", info.Name), slog.Any("differences", d.err()))
		return info, nil
	}
	tuned := is
	tuned.AckWait, tuned.BackOff = asked.AckWait, nil
	set(&tuned.MaxAckPending, c.options.maxAckPending)
	consumer, err := request(ctx, c, func(ctx context.Context) (js.Consumer, error) {
		return c.js.UpdateConsumer(ctx, c.cfg.ClusterID, tuned)
	})
	if err != nil {
		return nil, c.explainConsumer(err, asked)
	}
	c.log.Info("consumer updated", slog.String("consumer", info.Name), slog.Any("changed", d))
	return consumer.CachedInfo(), nil
}

// liftMaxDeliver gives a consumer that is there without limit on deliveries, where the client may
// change it: each delivery counts at the server, whatever became of it, so that members that
// merely restart use deliveries up. Where it can't, it says what the limit means.
func (c *conn) liftMaxDeliver(ctx context.Context, info *js.ConsumerInfo) *js.ConsumerInfo {
	limit := maxDeliver(info.Config)
	if limit == 0 {
		return info
	}
	about := []any{slog.String("consumer", info.Name), slog.Int("max_deliver", limit)}
	var err error
	if !c.options.bindOnly {
		unlimited := info.Config
		unlimited.MaxDeliver = -1
		var consumer js.Consumer
		consumer, err = request(ctx, c, func(ctx context.Context) (js.Consumer, error) {
			return c.js.UpdateConsumer(ctx, c.cfg.ClusterID, unlimited)
		})
		if err == nil {
			c.log.Warn("the consumer's max_deliver is set to -1: the server gave an event up after that many deliveries, handled or not, and made no dead letter; "+
				"the listener's option MaxAttempts says when an event is given up", about...)
			return consumer.CachedInfo()
		}
		about = append(about, slog.Any("not_changed", c.explain(err)))
	}
	c.log.Warn("the consumer's max_deliver limits how often the server delivers an event, and deliveries that no handler began count, too: "+
		"an event that fails on its last delivery becomes a dead letter, and one that is lost with its process on that is given up by the server; "+
		"set max_deliver to -1 (nats consumer edit), so that the listener's option MaxAttempts decides", about...)
	return info
}

// maxDeliver is how often the consumer delivers an event; 0: any number of times.
func maxDeliver(config js.ConsumerConfig) int { return max(config.MaxDeliver, 0) }

// explainConsumer says what a failed request about a consumer means.
func (c *conn) explainConsumer(err error, asked js.ConsumerConfig) error {
	switch {
	case errors.Is(err, js.ErrConsumerNotFound) && c.options.bindOnly:
		return fmt.Errorf("%w: there is no consumer %q, and with option BindOnly it is not made: ask who manages stream %q to make it, "+
			"as a durable pull consumer with filter_subject %q, ack_policy explicit and no max_deliver, or leave the option out: %w",
			transport.ErrRefused, asked.Name, c.cfg.ClusterID, asked.FilterSubject, err)
	case errors.Is(err, js.ErrNotPullConsumer):
		return fmt.Errorf("%w: consumer %q is a push consumer: use another durable name, or delete it (DeleteDurable): %w", transport.ErrInvalid, asked.Name, err)
	case errors.Is(err, js.ErrMaximumConsumersLimit):
		return fmt.Errorf("%w: stream %q has as many consumers as it may: raise its max_consumers, or the account's, or delete what nobody uses: %w",
			transport.ErrRefused, c.cfg.ClusterID, err)
	default:
		return c.explain(err)
	}
}

// waitFor is after what time the consumer sends an event again.
func waitFor(config js.ConsumerConfig) time.Duration {
	if len(config.BackOff) > 0 {
		return config.BackOff[0]
	}
	return config.AckWait
}
