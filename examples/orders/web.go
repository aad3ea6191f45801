package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sgtickets/common/client"
)

// web is how buyers place their orders. With its method Listen it is a client.Runner, which
// runs beside the listeners: if one of them fails, all end.
type web struct {
	client *client.Client
	orders *Orders
	addr   string
}

func (w web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	err := w.orders.Place(r.Context(), r.FormValue("id"), r.FormValue("ticket"), r.FormValue("buyer"))
	switch {
	case errors.Is(err, ErrNotFound):
		http.Error(rw, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
	default:
		rw.WriteHeader(http.StatusCreated)
	}
}

// Listen serves until ctx is done, and then finishes what it has begun.
func (w web) Listen(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("POST /orders", w)
	mux.Handle("/healthz", client.HealthHandler(w.client)) // the readiness probe
	server := &http.Server{Addr: w.addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		return server.Shutdown(ctx)
	}
}
