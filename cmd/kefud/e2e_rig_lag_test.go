package main

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// A lag is a way to a server on which every answer takes longer.
type lag struct {
	addr  string
	delay atomic.Int64
	seen  atomic.Int64 // packets to the server that name a customer of the tests
}

// newLag stands before the server at an address until the test ends.
func newLag(t *testing.T, to string) *lag {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() }) // it is closed once
	g := &lag{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
			if err != nil {
				_ = client.Close() // the client finds out by that
				continue
			}
			go g.pass(server, client, false)
			go g.pass(client, server, true)
		}
	}()
	return g
}

// pass copies until one side is gone. Either end's error ends both.
func (g *lag) pass(to, from net.Conn, late bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !late && bytes.Contains(buf[:n], []byte("oE2E")) {
			g.seen.Add(1)
		}
		if d := time.Duration(g.delay.Load()); late && d > 0 {
			<-time.After(d)
		}
		if _, wrong := to.Write(buf[:n]); wrong != nil || err != nil {
			return
		}
	}
}
