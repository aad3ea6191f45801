package transporttest

import (
	"errors"
	"fmt"

	"github.com/sgtickets/common/transport"
)

// ack acknowledges the delivery, and fails the case if that fails.
func (c *caseRun) ack(d transport.Delivery) {
	c.Helper()
	if err := d.Settler.Ack(); err != nil {
		c.Fatalf("acknowledge %q: %v", d.Data, err)
	}
}

// requireIs fails the case unless err matches target.
func (c *caseRun) requireIs(err, target error, what string) {
	c.Helper()
	if !errors.Is(err, target) {
		c.Fatalf("%s: error %v, want one that matches %q", what, err, target)
	}
}

// requireEqual fails the case unless got is want.
func requireEqual[T comparable](c *caseRun, got, want T, what string) {
	c.Helper()
	if got != want {
		c.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// text lists the payloads of deliveries, for failure messages.
func text(deliveries []transport.Delivery) string {
	all := make([]string, len(deliveries))
	for i, d := range deliveries {
		all[i] = string(d.Data)
	}
	return fmt.Sprintf("%q", all)
}
