package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
)

// health answers /healthz: 503 until the network is up, 200 from then on.
type health struct {
	ready atomic.Bool
}

func newHealth() *health {
	return &health{}
}

func (h *health) setReady() {
	h.ready.Store(true)
}

func (h *health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if h.ready.Load() {
		fmt.Fprintln(w, "ok")
		return
	}
	http.Error(w, "the network is not up yet", http.StatusServiceUnavailable)
}

// serve listens now, so that a port in use is an error at start, and answers until the context ends.
func (h *health) serve(ctx context.Context, ip string, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listen for health checks: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/healthz", h)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(listener); err != nil && ctx.Err() == nil {
			klog.ErrorS(err, "health checks are no longer answered")
		}
	}()
	return nil
}
