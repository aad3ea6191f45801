package devserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/nats-io/nats-streaming-server/util"
)

const (
	// streamingDir is a folder of its own because the file store takes every
	// folder beside its files for a channel, JetStream's included.
	streamingDir = "streaming"
	// jetStreamDir is the name nats-server gives its folder by itself.
	jetStreamDir = "jetstream"
	lockName     = "devserver.lock"
)

// inUse holds the store directories of this process's servers: the lock file
// only keeps other processes out.
var inUse = struct {
	mu   sync.Mutex
	dirs map[string]bool
}{dirs: map[string]bool{}}

// storage is where a server keeps its files. Nothing in it changes once it's
// made.
type storage struct {
	dir       string // JetStream's folder is made in it
	streaming string // the file store; empty for a memory store
	temporary bool
	lock      util.LockFile
}

// openStorage makes the directory, a temporary one if storeDir is empty, and
// sees to it that no other server has it.
func openStorage(storeDir string) (*storage, error) {
	if storeDir == "" {
		dir, err := os.MkdirTemp("", "devserver-")
		if err != nil {
			return nil, fmt.Errorf("making a temporary directory for JetStream: %w", err)
		}
		return &storage{dir: dir, temporary: true}, nil
	}
	dir, err := realDir(storeDir)
	if err != nil {
		return nil, fmt.Errorf("StoreDir(%q): %w: name a directory this user can make and write to", storeDir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "server.dat")); err == nil {
		return nil, fmt.Errorf("StoreDir(%q): it's the store of another nats-streaming-server: move its files into %s to go on with them, or name another directory",
			storeDir, filepath.Join(dir, streamingDir))
	}
	lock, err := claim(dir)
	if err != nil {
		return nil, fmt.Errorf("StoreDir(%q): %w", storeDir, err)
	}
	s := &storage{dir: dir, streaming: filepath.Join(dir, streamingDir), lock: lock}
	// The embedded server would make its folder too, but when it can't it
	// takes ten seconds to say so.
	for _, name := range []string{streamingDir, jetStreamDir} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil { //nolint:gosec // G301: who may read the store is up to the umask, as with mkdir
			s.close()
			return nil, fmt.Errorf("StoreDir(%q): %w: name a directory this user can write to", storeDir, err)
		}
	}
	return s, nil
}

// realDir makes dir and tells its one true name, by which two servers that
// were given the same directory can be told apart from two that were not.
func realDir(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // G301: who may read the store is up to the umask, as with mkdir
		return "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

func claim(dir string) (util.LockFile, error) { //nolint:ireturn // util.CreateLockFile has only the interface to give
	inUse.mu.Lock()
	defer inUse.mu.Unlock()
	if inUse.dirs[dir] {
		return nil, errors.New("another server of this process uses it: give each its own directory, or shut that one down first")
	}
	lock, err := util.CreateLockFile(filepath.Join(dir, lockName))
	if errors.Is(err, util.ErrUnableToLockNow) {
		return nil, errors.New("another process uses it: give each its own directory, or end that one first")
	}
	if err != nil {
		return nil, err
	}
	inUse.dirs[dir] = true
	return lock, nil
}

// empty removes JetStream's files; the memory store has none.
func (s *storage) empty() error {
	return os.RemoveAll(filepath.Join(s.dir, jetStreamDir))
}

// close gives the directory back, or removes it if it's a temporary one.
func (s *storage) close() {
	if s.temporary {
		// What can't be removed is left to the system, as with every
		// temporary file.
		_ = os.RemoveAll(s.dir)
		return
	}
	inUse.mu.Lock()
	defer inUse.mu.Unlock()
	_ = s.lock.Close() // the lock file stays: removing it could pull it away under a process that waits for it
	delete(inUse.dirs, s.dir)
}
