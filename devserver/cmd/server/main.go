// Command server runs a NATS Streaming server, which has JetStream as well, alone,
// until Ctrl-C or SIGTERM ends it: the one of package devserver, for trying the
// ticketing services, over either, without a container.
//
//	go run ./cmd/server
//	go run ./cmd/server -p 4222 -m 8222 -hbi 5s -hbt 5s -hbf 2 -SD -cid ticketing
//
// Its flags are those of nats-streaming-server, as far as it has them. Once
// clients can connect it prints a line that says where, and the environment of
// services that use NATS Streaming and of those that use JetStream. The exit status
// is 0 after a signal, 1 if the server could not start and 2 for flags it does not
// have.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sgtickets/common/devserver"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	// From here on, so that a signal during the start ends it cleanly too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	opts, store, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // the flag package has said why
	}
	srv, err := devserver.Start(opts...)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	monitor := "no monitoring"
	if srv.MonitorURL() != "" {
		monitor = "monitoring on " + srv.MonitorURL()
	}
	fmt.Fprintf(stdout, "listening on %s (cluster %s, %s, %s)\n", srv.URL(), srv.ClusterID(), store, monitor)
	env := fmt.Sprintf("NATS_URL=%s NATS_CLUSTER_ID=%s", srv.URL(), srv.ClusterID())
	fmt.Fprintf(stdout, "  NATS Streaming: %s\n  JetStream:      %s NATS_TRANSPORT=jetstream\n", env, env)

	<-ctx.Done()
	stop() // a second signal ends the process at once
	srv.Shutdown()
	return 0
}

// parse makes options of the flags, and says where events are kept.
func parse(args []string, stderr io.Writer) (opts []devserver.Option, store string, err error) {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var addr string
	for _, name := range []string{"a", "addr"} {
		flags.StringVar(&addr, name, "127.0.0.1", "`address` to listen on")
	}
	var (
		port     = flags.Int("p", 4222, "`port` for clients; 0 or -1 for any free one")
		monitor  = flags.Int("m", 8222, "`port` for HTTP monitoring; 0 for none, -1 for any free one")
		cluster  = flags.String("cid", "ticketing", "cluster `id`")
		dir      = flags.String("dir", "", "keep events in files in this `directory` (default: in memory)")
		interval = flags.Duration("hbi", 5*time.Second, "`interval` of the heartbeats sent to clients")
		timeout  = flags.Duration("hbt", 5*time.Second, "how `long` to wait for a client's answer to a heartbeat")
		fails    = flags.Int("hbf", 2, "`number` of unanswered heartbeats in a row after which one more makes the server forget the client")
		channels = flags.Int("mc", 100, "`number` of channels at most; 0 for no limit")
		messages = flags.Int("mm", 1_000_000, "`number` of events that a channel keeps, the newest; 0 for no limit")
		debug    = flags.Bool("SD", false, "log to standard error, what the streaming server does for each client included")
		user     = flags.String("user", "", "`name` that clients must give (default: anyone may connect)")
		password = flags.String("pass", "", "`password` that clients must give")
	)
	if err := flags.Parse(args); err != nil {
		return nil, "", err
	}
	if flags.NArg() > 0 {
		err := fmt.Errorf("only flags are expected, not %q", flags.Arg(0))
		fmt.Fprintln(stderr, err)
		flags.Usage()
		return nil, "", err
	}

	opts = []devserver.Option{
		devserver.ClusterID(*cluster),
		devserver.Host(addr),
		devserver.Port(anyFree(*port)),
		devserver.Heartbeats(*interval, *timeout, *fails),
		devserver.MaxChannels(*channels),
		devserver.MaxMessages(*messages),
	}
	if *monitor != 0 {
		opts = append(opts, devserver.MonitorPort(anyFree(*monitor)))
	}
	store = "memory store"
	if *dir != "" {
		opts = append(opts, devserver.StoreDir(*dir))
		store = "file store " + *dir
	}
	if *user != "" || *password != "" {
		opts = append(opts, devserver.Credentials(*user, *password))
	}
	if *debug {
		handler := slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug})
		opts = append(opts, devserver.Logger(slog.New(handler)))
	}
	return opts, store, nil
}

// anyFree translates -1, by which nats-streaming-server means any free port.
func anyFree(port int) int {
	if port == -1 {
		return 0
	}
	return port
}
