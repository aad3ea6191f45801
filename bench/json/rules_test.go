package jsonbench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A rule is one sentence of what the wire asks for, with a check of it.
type rule struct {
	name  string
	check func(c Contestant) error // nil where c keeps the rule

	// What is known of each contestant. Those in neither list keep the rule by
	// themselves; those in guarded keep it behind Guarded; those in broken
	// don't keep it even so. A verdict that changes, for better or worse, fails
	// the test: RESULTS.md would no longer be true.
	guarded []string
	broken  []string
}

// verdict is how a contestant fares under a rule.
type verdict string

const (
	holds      verdict = "yes"
	needsGuard verdict = "guard"
	breaks     verdict = "NO"
)

func (r rule) expected(contestant string) verdict {
	switch {
	case slices.Contains(r.guarded, contestant):
		return needsGuard
	case slices.Contains(r.broken, contestant):
		return breaks
	default:
		return holds
	}
}

// measured runs the check, and again behind the guard where it fails.
func (r rule) measured(c Contestant) (verdict, error) {
	err := r.run(c)
	if err == nil {
		return holds, nil
	}
	if r.run(Guarded(c)) == nil {
		return needsGuard, err
	}
	return breaks, err
}

// run turns a panic of a contestant into a broken rule.
func (r rule) run(c Contestant) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.check(c)
}

// TestRules checks every rule for every contestant and, with -v, prints the
// table of RESULTS.md.
func TestRules(t *testing.T) {
	contestants := All()
	table := newTable("rule", contestants)
	for _, r := range slices.Concat(encodeRules, decodeRules, vectorRules) {
		row := []string{r.name}
		for _, c := range contestants {
			got, err := r.measured(c)
			if want := r.expected(c.Name); got != want {
				t.Errorf("%s: %s: verdict %q, recorded %q (by itself: %v)", r.name, c.Name, got, want, err)
			}
			row = append(row, string(got))
		}
		table.add(row)
	}
	t.Logf("sonic: %s\n%s", SonicKind(), table)
}

// table is a Markdown table.
type table struct{ strings.Builder }

func newTable(first string, contestants []Contestant) *table {
	var tab table
	header, line := []string{first}, []string{"---"}
	for _, c := range contestants {
		header, line = append(header, c.Name), append(line, "---")
	}
	tab.add(header)
	tab.add(line)
	return &tab
}

func (t *table) add(cells []string) {
	t.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}
