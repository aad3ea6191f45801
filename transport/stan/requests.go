package stan

import (
	"context"
	"errors"
	"reflect"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport/internal/natsconn"
)

// requestSubjects are the NATS subjects on which the streaming server takes requests.
type requestSubjects struct {
	subscribe, unsubscribe, closeSubscription, close, ping string
}

// requestSubjectsOf reads unexported fields of stan.go's connection. What it does not find is
// empty: then a request that is forbidden looks like one without an answer.
func requestSubjectsOf(sc stan.Conn) requestSubjects {
	c := reflect.Indirect(reflect.ValueOf(sc))
	field := func(of reflect.Value, name string) string {
		if of.Kind() != reflect.Struct {
			return ""
		}
		if f := of.FieldByName(name); f.IsValid() && f.Kind() == reflect.String {
			return f.String()
		}
		return ""
	}
	subjects := requestSubjects{
		subscribe: field(c, "subRequests"), unsubscribe: field(c, "unsubRequests"),
		closeSubscription: field(c, "subCloseRequests"), close: field(c, "closeRequests"),
	}
	if c.Kind() == reflect.Struct {
		subjects.ping = field(c.FieldByName("ping"), "requests")
	}
	return subjects
}

// takes reports whether the streaming server takes requests on that subject.
func (s requestSubjects) takes(subject string) bool {
	return subject != "" && (subject == s.subscribe || subject == s.unsubscribe || subject == s.closeSubscription || subject == s.close || subject == s.ping)
}

// requests tells a request that is forbidden from one that has no answer for another cause:
// the NATS server's error names the subject alone, and comes once for each request that it
// refuses. It is safe for concurrent use. The zero value is ready.
type requests struct {
	mu   sync.Mutex
	open map[string]*openRequests // by subject
}

// openRequests are the requests on one subject whose answer is awaited.
type openRequests struct {
	count   int
	refused int   // how many of them the server has refused
	missing error // the permission
}

// onForbidden says that the server has refused a request.
func (r *requests) onForbidden(v natsconn.Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.open[v.Subject]; o != nil {
		o.refused++
		o.missing = v.Missing(v.Subject)
	}
}

// do calls ask, which makes a request on that subject. If no answer came and the server has
// refused the request, the error names the permission that is missing.
func (r *requests) do(subject string, ask func() error) error {
	r.mu.Lock()
	if r.open == nil {
		r.open = make(map[string]*openRequests)
	}
	o := r.open[subject]
	if o == nil {
		o = &openRequests{}
		r.open[subject] = o
	}
	o.count++
	r.mu.Unlock()
	err := ask()
	r.mu.Lock()
	defer r.mu.Unlock()
	o.count--
	if o.count == 0 {
		delete(r.open, subject)
	}
	if o.refused > 0 && isUnanswered(err) {
		o.refused--
		return o.missing
	}
	return err
}

// isUnanswered reports whether a request failed because no answer came.
func isUnanswered(err error) bool {
	for _, known := range []error{
		stan.ErrConnectReqTimeout, stan.ErrSubReqTimeout, stan.ErrUnsubReqTimeout, stan.ErrCloseReqTimeout, nats.ErrTimeout, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
