package faults_test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// result is a cell of the table.
type result struct {
	figures

	fault, goal string
	side        side
	exited      error
	missed      []string
}

// results are what the tests enter, printed at the end.
var results table

type table struct {
	mu   sync.Mutex
	rows [][]result // by fault
}

func (t *table) add(row int, r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.rows) <= row {
		t.rows = append(t.rows, nil)
	}
	t.rows[row] = append(t.rows[row], r)
}

// print writes what stands in the README, and then each figure.
func (t *table) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return
	}
	columns := sides()
	line := func(cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
	head, rule := []string{"fault", "to reach"}, []string{"---", "---"}
	for _, s := range columns {
		head, rule = append(head, s.title), append(rule, "---")
	}
	fmt.Fprintln(w)
	line(head)
	line(rule)
	for _, row := range t.rows {
		if len(row) == 0 {
			continue
		}
		cells := []string{row[0].fault, row[0].goal}
		for _, s := range columns {
			cells = append(cells, cell(row, s))
		}
		line(cells)
	}
	fmt.Fprintln(w)
	line(strings.Split("fault,side,published,refused,unknown,open,refused yet stored,lost,stored twice,not handled,handled again,longest gap,latest event,back", ","))
	line(strings.Split(strings.Repeat("---,---,", 7)[:14*4-1], ","))
	for _, row := range t.rows {
		for _, s := range columns {
			for _, r := range row {
				if r.side.name == s.name {
					line(append([]string{r.fault, s.title}, r.cells()...))
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
			return "exits"
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
	parts := []string{fmt.Sprintf("%d refused", f.refused)}
	for _, p := range []struct {
		n    int
		what string
	}{
		{f.unknown, "of unknown outcome"},
		{f.open, "without an answer"},
		{f.ghosts, "refused and yet stored"},
		{f.lost, "lost"},
		{f.doubled, "stored twice"},
		{f.stuck, "not handled"},
		{f.again, "handled again"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	back := "never back"
	if f.back != never {
		back = "back in " + seconds(f.back)
	}
	return strings.Join(append(parts, back, "latest event "+seconds(f.late)), ", ")
}

func (f figures) cells() []string {
	var cells []string
	for _, n := range []int{f.published, f.refused, f.unknown, f.open, f.ghosts, f.lost, f.doubled, f.stuck, f.again} {
		cells = append(cells, strconv.Itoa(n))
	}
	return append(cells, seconds(f.gap), seconds(f.late), seconds(f.back))
}

func seconds(d time.Duration) string {
	if d == never {
		return "never"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
