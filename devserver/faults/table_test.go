package faults_test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// result is a cell of a table.
type result struct {
	account

	row, goal   string
	side        side
	exited      error
	exitedAfter time.Duration
	missed      []string
}

// account is what it tells: in short, and each figure.
type account interface {
	String() string
	cells() []string
}

// The tests enter in them what they find, and they are printed at the end.
var (
	faultTable = table{first: "fault", figures: "published,refused,unknown,open,refused yet stored,lost,stored twice,not handled,handled again,longest gap,latest event,back"}
	eventTable = table{first: "events", figures: "published,refused,unknown,lost,not handled,others begun again,most begins of one,crashes," +
		"dead letters,not exact or missing,longest gap,latest other,it took"}
)

type table struct {
	first, figures string

	mu   sync.Mutex
	rows [][]result
}

// enter puts a result into its row, and fails the test if it misses its goal.
func (t *table) enter(tb testing.TB, row int, r result) {
	tb.Helper()
	t.mu.Lock()
	for len(t.rows) <= row {
		t.rows = append(t.rows, nil)
	}
	t.rows[row] = append(t.rows[row], r)
	t.mu.Unlock()
	for _, missed := range r.missed {
		assert.Fail(tb, missed, "%s", r.account)
	}
}

// print writes what stands in the README, and then each figure.
func (t *table) print(w io.Writer, columns []side) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return
	}
	line := func(cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
	head := func(cells []string) {
		line(cells)
		line(strings.Split(strings.Repeat(",---", len(cells))[1:], ","))
	}
	cells := []string{t.first, "to reach"}
	for _, s := range columns {
		cells = append(cells, s.title)
	}
	fmt.Fprintln(w)
	head(cells)
	for _, row := range t.rows {
		if len(row) == 0 {
			continue
		}
		cells := []string{row[0].row, row[0].goal}
		for _, s := range columns {
			cells = append(cells, cell(row, s))
		}
		line(cells)
	}
	fmt.Fprintln(w)
	head(append([]string{t.first, "side"}, strings.Split(t.figures, ",")...))
	for _, row := range t.rows {
		for _, s := range columns {
			for _, r := range row {
				if r.side.name == s.name {
					line(append([]string{r.row, s.title}, r.cells()...))
				}
			}
		}
	}
	fmt.Fprintln(w)
}

func cell(row []result, s side) string {
	for _, r := range row {
		switch {
		case r.side.name != s.name:
		case r.exited != nil && !s.ours():
			return fmt.Sprintf("exits after %.2f s", r.exitedAfter.Seconds())
		case len(r.missed) > 0:
			return "**missed:** " + strings.Join(r.missed, "; ")
		default:
			return r.String()
		}
	}
	return "**no result**"
}

// String is a cell: what went wrong, and when it went on.
func (f figures) String() string {
	back := "never back"
	if f.back != never {
		back = "back in " + seconds(f.back)
	}
	parts := append([]string{fmt.Sprintf("%d refused", f.refused)}, f.wrong()...)
	return strings.Join(append(parts, back, "latest event "+seconds(f.late)), ", ")
}

// wrong names what there should not be, besides publishes that were refused.
func (f figures) wrong() []string {
	return some([]tally{
		{f.unknown, "of unknown outcome"},
		{f.open, "without an answer"},
		{f.ghosts, "refused and yet stored"},
		{f.lost, "lost"},
		{f.doubled, "stored twice"},
		{f.stuck, "not handled"},
		{f.again, "handled again"},
	})
}

type tally struct {
	n    int
	what string
}

// some are those of which there are any.
func some(all []tally) (some []string) {
	for _, t := range all {
		if t.n > 0 {
			some = append(some, fmt.Sprintf("%d %s", t.n, t.what))
		}
	}
	return some
}

func (f figures) cells() []string {
	cells := counts(f.published, f.refused, f.unknown, f.open, f.ghosts, f.lost, f.doubled, f.stuck, f.again)
	return append(cells, seconds(f.gap), seconds(f.late), seconds(f.back))
}

func counts(of ...int) (cells []string) {
	for _, n := range of {
		cells = append(cells, strconv.Itoa(n))
	}
	return cells
}

func seconds(d time.Duration) string {
	if d == never {
		return "never"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
