// Package overhead holds the publisher and the listener against raw stan.go with
// encoding/json, as a competent user writes it, in one run and against a server
// in another process, so that time and allocations are the client's alone.
package overhead

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

const (
	cluster  = "bench"
	inFlight = 1024
)

var url string

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		return // nothing here needs the server, which takes long to build
	}
	code, err := withServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withServer runs f while a server with a memory store runs in a child process.
func withServer(f func() int) (int, error) {
	dir, err := os.MkdirTemp("", "overhead")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "server")
	build := exec.Command("go", "build", "-o", program, "./cmd/server")
	build.Dir = "../../devserver"
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 0, err
	}
	server := exec.Command(program, "-p", "0", "-m", "0", "-mc", "0", "-cid", cluster)
	out, err := server.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := server.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, err
	}
	for word := range strings.FieldsSeq(line) {
		if strings.HasPrefix(word, "nats://") {
			url = word
		}
	}
	return f(), nil
}

// ticket is the event of the contest; its channel is a new one for each round.
type ticket struct{ events.TicketCreated }

var channel atomic.Value

func (ticket) Subject() subjects.Subject { s, _ := channel.Load().(subjects.Subject); return s }

func sample(b *testing.B, size int) ticket {
	b.Helper()
	t := ticket{events.TicketCreated{ID: "5f8a4c1e9b3d", Version: 3, Title: "", Price: 49.9, UserID: "5f8a4c1e9b3e"}}
	data, err := json.Marshal(t)
	if err != nil {
		b.Fatal(err)
	}
	t.Title = strings.Repeat("A concert, ", size)[:max(1, size-len(data))]
	return t
}

var sizes = []struct {
	name  string
	bytes int
}{{"120B", 120}, {"1KiB", 1 << 10}, {"16KiB", 16 << 10}}

func connectRaw(b *testing.B) stan.Conn {
	b.Helper()
	channel.Store(subjects.Subject("bench." + rand.Text()))
	c, err := stan.Connect(cluster, rand.Text(), stan.NatsURL(url))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

func connectOurs(b *testing.B) *client.Client {
	b.Helper()
	channel.Store(subjects.Subject("bench." + rand.Text()))
	c, err := client.Build(b.Context(), cluster, rand.Text(), url, client.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func newPublisher(b *testing.B, c *client.Client) *publisher.Publisher[ticket] {
	b.Helper()
	p, err := publisher.New[ticket](c)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func BenchmarkPublish(b *testing.B) {
	for _, size := range sizes {
		e := sample(b, size.bytes)
		b.Run(size.name+"/raw", func(b *testing.B) {
			c := connectRaw(b)
			subject := string(e.Subject())
			b.ReportAllocs()
			for b.Loop() {
				data, err := json.Marshal(e)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Publish(subject, data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(size.name+"/ours", func(b *testing.B) {
			p := newPublisher(b, connectOurs(b))
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Publish(b.Context(), e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fill publishes n events to a new channel.
func fill(b *testing.B, n int, e ticket) {
	b.Helper()
	p := newPublisher(b, connectOurs(b))
	if _, err := p.PublishAll(b.Context(), func(yield func(ticket) bool) {
		for range n {
			if !yield(e) {
				return
			}
		}
	}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkListen(b *testing.B) {
	for _, size := range sizes {
		e := sample(b, size.bytes)
		b.Run(size.name+"/raw", func(b *testing.B) {
			c := connectRaw(b)
			fill(b, b.N, e)
			done := make(chan struct{})
			n := 0
			b.ReportAllocs()
			b.ResetTimer()
			_, err := c.QueueSubscribe(string(e.Subject()), "bench", func(m *stan.Msg) {
				var e ticket
				if err := json.Unmarshal(m.Data, &e); err != nil {
					b.Error(err)
				}
				if err := m.Ack(); err != nil {
					b.Error(err)
				}
				n++
				if n == b.N {
					close(done)
				}
			}, stan.DurableName("bench"), stan.SetManualAckMode(), stan.MaxInflight(inFlight), stan.StartAt(pb.StartPosition_First))
			if err != nil {
				b.Fatal(err)
			}
			<-done
		})
		b.Run(size.name+"/ours", func(b *testing.B) {
			c := connectOurs(b)
			fill(b, b.N, e)
			done := make(chan struct{})
			n := 0
			b.ReportAllocs()
			b.ResetTimer()
			l, err := listener.New(c, "bench", func(context.Context, ticket, listener.Delivery) error {
				n++
				if n == b.N {
					close(done)
				}
				return nil
			}, listener.MaxInFlight(inFlight))
			if err != nil {
				b.Fatal(err)
			}
			ended := make(chan error)
			ctx, stop := context.WithCancel(b.Context())
			go func() { ended <- l.Listen(ctx) }()
			<-done
			b.StopTimer()
			stop()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		})
	}
}
