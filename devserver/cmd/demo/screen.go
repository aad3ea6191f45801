package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// screen shows lines that stay, and below them a summary that moves: on a
// terminal it is redrawn in place, into a pipe it goes as a line each second.
type screen struct {
	out      io.Writer
	terminal bool
	began    time.Time

	mu   sync.Mutex
	last time.Time // when a summary was written to the pipe
}

// newScreen returns a screen on f, whose clock begins now.
func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	return &screen{out: f, terminal: terminal, began: time.Now()}
}

const clearLine = "\r\x1b[K" // what a terminal obeys

// sayf shows a line that stays, with the time since the beginning.
func (s *screen) sayf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintf(s.out, "%5.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// print shows lines that stay, as they are.
func (s *screen) print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintln(s.out, text)
}

// show shows the summary.
func (s *screen) show(summary string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	end := ""
	if !s.terminal {
		if now.Sub(s.last) < time.Second {
			return
		}
		s.last = now
		end = "\n"
	}
	s.clear()
	fmt.Fprintf(s.out, "%5.1f s    %s%s", now.Sub(s.began).Seconds(), summary, end)
}

// clear makes way for a line that stays; the summary is drawn again soon.
func (s *screen) clear() {
	if s.terminal {
		fmt.Fprint(s.out, clearLine)
	}
}
