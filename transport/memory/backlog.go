package memory

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/transport"
)

// Backlog implements [transport.BacklogCounter]. NATS Streaming can't be asked.
func (s *subscription) Backlog(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	b := s.conn.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.options.features.Nak {
		return 0, fmt.Errorf("%w: NATS Streaming does not say how many messages wait", transport.ErrUnsupported)
	}
	if b.options.defect == forgetsBacklog {
		return 0, nil
	}
	return uint64(len(s.group.channel.log)) + 1 - s.group.next, nil
}
