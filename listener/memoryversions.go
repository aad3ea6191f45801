package listener

import (
	"context"
	"sync"
)

// MemoryVersions is a [VersionStore] in memory, for tests, and for services that keep what
// they make of events in memory, too: both are lost with the process, and made anew from all
// events by a listener that is [Ephemeral]. The members of a queue group in several processes
// can't share it. It never forgets an entity: without its version, no further event of that
// entity could be applied. The zero value is ready. It is safe for concurrent use.
type MemoryVersions struct {
	mu      sync.Mutex
	applied map[string]int64
}

// NewMemoryVersions returns a store that knows no entity.
func NewMemoryVersions() *MemoryVersions {
	return new(MemoryVersions)
}

// AppliedVersion implements [VersionStore]. Its error is nil.
func (m *MemoryVersions) AppliedVersion(_ context.Context, entityID string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.applied[entityID]; ok {
		return v, nil
	}
	return NoVersion, nil
}

// SetAppliedVersion implements [VersionStore]. Its error is nil: within a process
// nothing is applied to an entity meanwhile.
func (m *MemoryVersions) SetAppliedVersion(_ context.Context, entityID string, _, version int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.applied == nil {
		m.applied = make(map[string]int64)
	}
	m.applied[entityID] = version
	return nil
}
