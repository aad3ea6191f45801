package transport_test

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
)

func ExamplePosition() {
	for _, p := range []transport.Position{transport.All, transport.Sequence(7), transport.Ago(time.Hour), transport.Sequence(0)} {
		fmt.Println(p, p.Validate())
	}
	// Output:
	// all <nil>
	// sequence 7 <nil>
	// 1h0m0s ago <nil>
	// sequence 0 invalid: sequence 0: the first message of a channel has sequence 1
}
