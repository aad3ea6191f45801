//go:build !goexperiment.jsonv2

package jsonbench

import (
	"time"

	"github.com/go-json-experiment/json"
)

// formatTagWays is the way of the struct-tag option format. It is experimental,
// which is to say: off unless asked for here, a panic in Go 1.26 built with
// GOEXPERIMENT=jsonv2 (there json stands for encoding/json/v2, which does not
// know the option), and announced to go away in a later Go. Hence a file of its
// own, left out of such builds.
func formatTagWays(orders benchShape) []timeWay {
	shape := benchShape{name: orders.name}
	for _, event := range orders.events {
		order := event.(*OrderCreated)
		shape.events = append(shape.events, &formattedOrder{
			order.ID, order.Version, order.Status, order.UserID, order.ExpiresAt, order.Ticket,
		})
	}
	format := json.ExperimentalSupportFormatTag(true)
	return []timeWay{{"format-tag", experimentWith("", format).Encode, shape}}
}

// formattedOrder is OrderCreated with a format in its tag.
type formattedOrder struct {
	ID        string      `json:"id"`
	Version   int64       `json:"version"`
	Status    OrderStatus `json:"status"`
	UserID    string      `json:"userId"`
	ExpiresAt time.Time   `json:"expiresAt,format:'2006-01-02T15:04:05.000Z'"` //nolint:revive // an option of go-json-experiment, see formatTagWays
	Ticket    OrderTicket `json:"ticket"`
}
