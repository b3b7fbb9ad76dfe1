package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/rs/zerolog"

	"kefud/handler"
)

// An adminPort serves /metrics and /api/v1 at an address of their own. Nil is
// none: they are where everything else is.
type adminPort struct {
	http *http.Server
	on   net.Listener // nil before listen
}

func newAdminPort(address string, h http.Handler) *adminPort {
	if address == "" {
		return nil
	}
	return &adminPort{http: handler.NewServer(address, h)}
}

// listen takes the address, so that one that cannot be had stops the start.
func (a *adminPort) listen(ctx context.Context) error {
	if a == nil {
		return nil
	}
	var err error
	if a.on, err = (&net.ListenConfig{}).Listen(ctx, "tcp", a.http.Addr); err != nil {
		return fmt.Errorf("listen on admin.listen %s: %w", a.http.Addr, err)
	}
	return nil
}

func (a *adminPort) serve() error { return a.http.Serve(a.on) }

// note tells the log where it listens.
func (a *adminPort) note(e *zerolog.Event) {
	if a != nil {
		e.Str("admin_listen", a.on.Addr().String())
	}
}

// stop finishes what is in flight, as long as ctx lasts.
func (a *adminPort) stop(ctx context.Context) error {
	if a == nil {
		return nil
	}
	err := a.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = a.http.Close()
	}
	return err
}
