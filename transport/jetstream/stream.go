package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// wanted returns the subjects that the stream is to have from the beginning.
func (o options) wanted() []string {
	if o.only {
		return union(nil, o.subjects)
	}
	return union(union(nil, o.configured), o.subjects)
}

// addsSubjects reports whether the client adds the subjects of its publishers and listeners to
// the stream.
func (o options) addsSubjects() bool { return !o.bindOnly && !o.only && !o.fixedSubjects }

// ensureStream makes the stream, or finds out whether the one that is there will do.
func (c *conn) ensureStream(ctx context.Context) error {
	stream, err := request(ctx, c, func(ctx context.Context) (js.Stream, error) { return c.js.Stream(ctx, c.cfg.ClusterID) })
	if errors.Is(err, js.ErrStreamNotFound) && !c.options.bindOnly {
		stream, err = c.createStream(ctx)
	}
	if err != nil {
		return err
	}
	config := stream.CachedInfo().Config
	if err := c.options.otherStream(config); err != nil {
		return fmt.Errorf("%w: stream %q is another one than asked for: %w", transport.ErrInvalid, c.cfg.ClusterID, err)
	}
	if config, err = c.adjustStream(ctx, config); err != nil {
		return err
	}
	c.warnOfSettings(config)
	info := *stream.CachedInfo()
	info.Config = config
	c.seen(&info)
	if err := c.addWanted(ctx, config.Subjects); err != nil {
		return err
	}
	for _, name := range c.options.subjects {
		if !c.takes(name) && !(c.options.bindOnly && receives(config, name)) {
			return c.lacks(name)
		}
	}
	return nil
}

// addWanted adds those of the wanted subjects to a stream that it lacks. Dead letters have a
// subject of the stream if that can be had; if not, a listener that needs it says so. A stream
// that has some of it has been given dead letters of its own.
func (c *conn) addWanted(ctx context.Context, have []string) error {
	if !c.options.addsSubjects() && (!c.options.addSubjects || c.options.bindOnly) {
		return nil
	}
	deadLetters := c.cfg.DeadLetters
	names := slices.DeleteFunc(lacking(have, c.options.wanted()), func(name string) bool {
		return name == deadLetters && slices.ContainsFunc(have, func(other string) bool { return transport.Overlap(name, other) })
	})
	if len(names) == 0 {
		return nil
	}
	refused, err := c.addSubjects(ctx, names)
	// Somebody may give the stream dead letters of its own later: dead.> is not added again.
	c.noteAdded(slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == deadLetters }), refused, err)
	if err != nil {
		return err
	}
	for _, name := range names {
		switch err := refused[name]; {
		case err == nil:
		case name == deadLetters:
			c.log.Info("the stream does not get the subject of all dead letters: a listener that needs it says so",
				slog.String("stream", c.cfg.ClusterID), slog.String("subject", name), slog.Any("error", err))
		default:
			return err
		}
	}
	return nil
}

// seen takes in what the server says of the stream, and tells if it is another one
// than before.
func (c *conn) seen(info *js.StreamInfo) {
	c.mu.Lock()
	other := !c.created.IsZero() && !c.created.Equal(info.Created)
	c.stream, c.created = info.Config, info.Created
	c.mu.Unlock()
	c.subjects.Store(newSubjectSet(info.Config.Subjects))
	if own := c.own.Load(); own == nil || own.domain != info.Domain {
		c.own.Store(newOwnStream(c.cfg.ClusterID, info.Domain))
	}
	if other {
		c.watch.Tell(transport.Event{Kind: transport.StoreLost, Err: fmt.Errorf(
			"stream %s was made anew, and what it held is lost: what listens begins with what it holds now", c.cfg.ClusterID)})
	}
}

// missed tells that the stream is gone, once.
func (c *conn) missed() {
	c.mu.Lock()
	known := !c.created.IsZero()
	c.created = time.Time{}
	c.mu.Unlock()
	if known {
		c.watch.Tell(transport.Event{Kind: transport.StoreLost, Err: fmt.Errorf(
			"stream %s is gone, and what it held is lost: it is made again, empty", c.cfg.ClusterID)})
	}
}

// findStream returns the stream, which it makes again if it is gone, unless nothing may be
// made. It has the subjects added that the stream has lost, and does not wait for that.
func (c *conn) findStream(ctx context.Context) (*js.StreamInfo, error) {
	info, err := c.makeSureOfStream(ctx)
	if err == nil {
		c.restoreSubjects()
	}
	return info, err
}

// makeSureOfStream is findStream without the subjects. One looks for the stream at a time.
func (c *conn) makeSureOfStream(ctx context.Context) (*js.StreamInfo, error) {
	select {
	case c.finding <- struct{}{}:
		defer func() { <-c.finding }()
	case <-ctx.Done():
		return nil, await.Cause(ctx)
	}
	get := func(ctx context.Context) (js.Stream, error) { return c.js.Stream(ctx, c.cfg.ClusterID) }
	stream, err := request(ctx, c, get)
	if errors.Is(err, js.ErrStreamNotFound) && !c.options.bindOnly {
		c.missed()
		if err = c.ensureStream(ctx); err == nil {
			stream, err = request(ctx, c, get)
		}
	}
	if err != nil {
		return nil, err
	}
	c.seen(stream.CachedInfo())
	return stream.CachedInfo(), nil
}

// mindStream makes sure that the stream is there, for who only publishes, too. It
// does not wait.
func (c *conn) mindStream() { c.mindSubject("") }

// mindSubject is mindStream, and has the subject added if the stream has lost it. Nobody may
// have said that a publish reaches no stream: that the server says only if nobody at all
// subscribes to the subject.
func (c *conn) mindSubject(subject string) {
	if !c.minding.CompareAndSwap(false, true) {
		return
	}
	c.background(func() {
		ctx, cancel := c.whileUp()
		defer cancel()
		_, err := c.findStream(ctx)
		c.minding.Store(false)
		if err == nil {
			c.refuseMismatched()
			if subject != "" && !c.Takes(subject) {
				_, err = c.requestSubject(subject)
			}
		}
		if err != nil && ctx.Err() == nil && c.streamless.due() {
			c.log.Warn("the stream can't be found or made, or lacks a subject: what is published is not stored",
				slog.String("stream", c.cfg.ClusterID), slog.Any("error", c.explain(err)))
		}
	})
}

func (c *conn) lacks(subject string) error {
	return fmt.Errorf("%w: stream %q lacks subject %q: %s", transport.ErrInvalid, c.cfg.ClusterID, subject, c.remedyForSubject(subject))
}

// CheckSubject implements [transport.SubjectChecker].
func (c *conn) CheckSubject(ctx context.Context, subject string) error {
	if unpublishable(c.lastSeen()) != "" {
		if _, err := c.findStream(ctx); err != nil { // it may be another one by now
			return c.explain(err)
		}
		if why := unpublishable(c.lastSeen()); why != "" {
			return fmt.Errorf("%w: stream %q does not store subject %q: %s", transport.ErrInvalid, c.cfg.ClusterID, subject, why)
		}
	}
	return c.ensureTaken(ctx, subject)
}

// ensureTaken adds the subject to the stream where the client may, or finds out whether the
// stream takes it: the server lets a consumer wait for one that can never come.
func (c *conn) ensureTaken(ctx context.Context, subject string) error {
	if c.takes(subject) {
		return nil
	}
	if c.options.addsSubjects() {
		return c.AddSubject(ctx, subject)
	}
	if _, err := c.findStream(ctx); err != nil { // it may have been added since
		return c.explain(err)
	}
	if !c.takes(subject) {
		return c.lacks(subject)
	}
	return nil
}

func (c *conn) createStream(ctx context.Context) (js.Stream, error) { //nolint:ireturn // it is what nats.go has
	config := c.options.newStream(c.cfg.ClusterID)
	if len(config.Subjects) == 0 { // the server would take the stream's name for its subject
		return nil, fmt.Errorf("%w: there is no stream %q, and it can't be made without subjects: name them with option Subjects", transport.ErrInvalid, config.Name)
	}
	stream, err := request(ctx, c, func(ctx context.Context) (js.Stream, error) { return c.js.CreateStream(ctx, config) })
	if errors.Is(err, js.ErrStreamNameAlreadyInUse) { // another client made it meanwhile
		return request(ctx, c, func(ctx context.Context) (js.Stream, error) { return c.js.Stream(ctx, config.Name) })
	}
	if err == nil {
		c.log.Info("stream made", slog.String("stream", config.Name), slog.Any("subjects", config.Subjects))
	}
	return stream, c.explainConfig(ctx, err, config)
}

func (o options) newStream(name string) js.StreamConfig {
	config := js.StreamConfig{
		Name: name, Subjects: o.wanted(), Retention: js.LimitsPolicy, Discard: js.DiscardNew, Storage: js.FileStorage, Replicas: 1,
		MaxMsgs: -1, MaxBytes: -1,
	}
	set(&config.Storage, o.storage)
	o.tune(&config)
	return config
}

// set sets a field to what was asked for, if it was.
func set[T any](field, asked *T) {
	if asked != nil {
		*field = *asked
	}
}

// tune sets what can be changed in a stream that is there.
func (o options) tune(config *js.StreamConfig) {
	set(&config.Replicas, o.replicas)
	set(&config.Discard, o.discard)
	set(&config.MaxAge, o.maxAge)
	set(&config.MaxBytes, o.maxBytes)
	set(&config.MaxMsgs, o.maxMessages)
	set(&config.Duplicates, o.duplicates)
}

// otherStream returns what makes a stream unfit, field by field. A mirror and a sealed stream
// can be listened to, by a client that does not make them again as another one.
func (o options) otherStream(config js.StreamConfig) error {
	var d differences
	if o.storage != nil {
		differ(&d, "storage", config.Storage, *o.storage, "a stream can't change it")
	}
	differ(&d, "no_ack", config.NoAck, false, "the stream would never confirm a publish")
	if !o.bindOnly {
		const hint = "; a client that only listens needs option BindOnly"
		differ(&d, "sealed", config.Sealed, false, "nothing can be stored in it"+hint)
		differ(&d, "mirror", config.Mirror != nil, false, "nothing can be published to a mirror; use the stream that it mirrors"+hint)
	}
	if len(d) > 0 {
		differ(&d, "retention", config.Retention, js.LimitsPolicy, retentionMatters)
	}
	return d.err()
}

// adjustStream brings the stream's settings nearer to what was asked for, or says
// where they differ, and returns what they are then.
func (c *conn) adjustStream(ctx context.Context, config js.StreamConfig) (js.StreamConfig, error) {
	tuned := config
	c.options.tune(&tuned)
	var d differences
	differ(&d, "replicas", config.Replicas, tuned.Replicas, "")
	differ(&d, "discard", config.Discard, tuned.Discard, "")
	differ(&d, "max_age", config.MaxAge, tuned.MaxAge, "")
	differ(&d, "max_bytes", config.MaxBytes, tuned.MaxBytes, "")
	differ(&d, "max_msgs", config.MaxMsgs, tuned.MaxMsgs, "")
	differ(&d, "duplicate_window", config.Duplicates, tuned.Duplicates, "")
	if err := d.err(); err != nil && !c.options.updateStream {
		c.log.Warn("the stream's settings differ from what was asked for, and are used as they are; option UpdateStream changes them",
			slog.String("stream", config.Name), slog.Any("differences", err))
	}
	if len(d) == 0 || !c.options.updateStream {
		return config, nil
	}
	unlock := c.lockUpdates(ctx)
	defer unlock()
	stream, err := request(ctx, c, func(ctx context.Context) (js.Stream, error) { return c.js.Stream(ctx, config.Name) })
	if err != nil {
		return config, err
	}
	tuned = stream.CachedInfo().Config
	c.options.tune(&tuned)
	info, err := c.updateStream(ctx, tuned)
	if err != nil {
		return config, fmt.Errorf("update stream %q: %w", config.Name, c.explainConfig(ctx, err, tuned))
	}
	c.log.Info("stream updated", slog.String("stream", config.Name), slog.Any("changed", d))
	return info.Config, nil
}

// remedyForSubject says how the stream comes to take the subject.
func (o options) remedyForSubject(stream, subject string) string {
	if o.bindOnly {
		return fmt.Sprintf("with option BindOnly the client adds nothing: the owner of stream %q has to add %s", stream, subject)
	}
	if o.fixedSubjects {
		return fmt.Sprintf("with option FixedSubjects the client adds none: the owner of stream %q has to add %s", stream, subject)
	}
	for _, pattern := range append(slices.Clone(o.subjects), o.configured...) {
		switch {
		case !transport.Covers(pattern, subject):
		case o.only && !covered(o.subjects, subject):
			return fmt.Sprintf("option AddSubjects adds %s to stream %q; with OnlySubjects, name it there, too", pattern, stream)
		default:
			return fmt.Sprintf("option AddSubjects adds %s to stream %q", pattern, stream)
		}
	}
	return fmt.Sprintf("option AddSubjects adds it to stream %q beside Subjects(%q)", stream, subject)
}
