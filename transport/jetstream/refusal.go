package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// JetStream's refusals of a stream's configuration, which don't change by waiting.
const (
	invalidConfig           js.ErrorCode = 10052
	notUpdatableMirror      js.ErrorCode = 10055
	notUpdatableReplicas    js.ErrorCode = 10061
	overlappingSubjects     js.ErrorCode = 10065
	replicasWithoutCluster  js.ErrorCode = 10074
	accountResources        js.ErrorCode = 10002
	maximumStreams          js.ErrorCode = 10027
	memoryResources         js.ErrorCode = 10028
	storageResources        js.ErrorCode = 10047
	maxBytesRequired        js.ErrorCode = 10113
	maxBytesOverTheAccounts js.ErrorCode = 10122
)

// ownersWait bounds the search for the streams that have the subjects already.
const ownersWait = requestWait

// explainConfig returns an error that matches transport.ErrInvalid if err is a refusal of the
// configuration that waiting can't change, and otherwise err.
func (c *conn) explainConfig(ctx context.Context, err error, config js.StreamConfig) error {
	var api *js.APIError
	if !errors.As(err, &api) {
		return err
	}
	names := strings.Join(config.Subjects, ", ")
	switch api.ErrorCode {
	case overlappingSubjects:
		return fmt.Errorf("%w subjects of stream %q: two streams of an account can't share a subject, %s: connect to the stream that is there, "+
			"whose name is the cluster ID then; or take the subject out of that one; or give this one subjects of its own "+
			"(option OnlySubjects names all of them, those of dead letters included): %w",
			transport.ErrInvalid, config.Name, c.owners(ctx, config), err)
	case invalidConfig:
		return fmt.Errorf("%w configuration of stream %q with the subjects %s: change the option or the subject that the server names: %w",
			transport.ErrInvalid, config.Name, names, err)
	case replicasWithoutCluster, notUpdatableReplicas:
		return fmt.Errorf("%w option Replicas (%d) of stream %q: %w", transport.ErrInvalid, config.Replicas, config.Name, err)
	case maxBytesRequired:
		return fmt.Errorf("%w configuration of stream %q: the account requires that each stream has a limit on its size (max_bytes_required): give it option MaxBytes: %w",
			transport.ErrInvalid, config.Name, err)
	case maxBytesOverTheAccounts:
		return fmt.Errorf("%w option MaxBytes (%d) of stream %q: it is more than the account allows for one stream: lower it: %w",
			transport.ErrInvalid, config.MaxBytes, config.Name, err)
	case accountResources, memoryResources, storageResources:
		return fmt.Errorf("%w: stream %q needs more storage than the account, or the servers, have left: lower option MaxBytes (%d) or Replicas (%d), "+
			"or ask who manages the account to raise its limits: %w", transport.ErrRefused, config.Name, config.MaxBytes, config.Replicas, err)
	case maximumStreams:
		return fmt.Errorf("%w: stream %q can't be made, since the account has as many streams as it may: ask who manages the account to raise its limit (max_streams), "+
			"or use a stream that is there, whose name is the cluster ID then: %w", transport.ErrRefused, config.Name, err)
	case notUpdatableMirror:
		return fmt.Errorf("%w configuration of stream %q: %w", transport.ErrInvalid, config.Name, err)
	default:
		return err
	}
}

// owners says which other streams have which of the subjects, as far as the server tells in
// time.
func (c *conn) owners(ctx context.Context, config js.StreamConfig) string {
	ctx, cancel := context.WithTimeout(ctx, ownersWait)
	defer cancel()
	subjects := make(map[string][]string) // by stream
	for _, subject := range config.Subjects {
		names, err := request(ctx, c, func(ctx context.Context) ([]string, error) { return c.streamsWith(ctx, subject) })
		if err != nil {
			break // what is known is told
		}
		for _, name := range names {
			if name != config.Name {
				subjects[name] = append(subjects[name], subject)
			}
		}
	}
	if len(subjects) == 0 {
		return fmt.Sprintf("and another stream has one of %s", strings.Join(config.Subjects, ", "))
	}
	says := make([]string, 0, len(subjects))
	for name, shared := range subjects {
		says = append(says, fmt.Sprintf("stream %q has subjects of %s", name, strings.Join(shared, ", ")))
	}
	slices.Sort(says)
	return "and " + strings.Join(says, ", ")
}

// streamsWith returns the streams that take some of what the subject, which may be a pattern,
// stands for.
func (c *conn) streamsWith(ctx context.Context, subject string) ([]string, error) {
	lister := c.js.StreamNames(ctx, js.WithStreamListSubject(subject))
	var names []string
	for name := range lister.Name() {
		names = append(names, name)
	}
	return names, lister.Err()
}
