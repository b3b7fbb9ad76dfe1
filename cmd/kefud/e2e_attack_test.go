package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kefud/internal/soak"
)

// besieged is a server in a process of its own, on the embedded store, without
// WeChat's API: who attacks it has file descriptors of his own.
func besieged(t *testing.T, env ...string) *siege {
	t.Helper()
	p := launch(t, env, "serve", "--config", file(t, "config.yaml", smallConfig))
	s := &siege{t: t, process: p, url: p.serving()}
	s.addr = strings.TrimPrefix(s.url, "http://")
	s.serves(20) // what is done once is done
	return s
}

type siege struct {
	t       *testing.T
	process *process
	url     string
	addr    string
	pushes  int
}

// serves sends pushes one after the other. Each must be answered well within the
// budget; it gives how long they took, the quickest first.
func (s *siege) serves(n int) []time.Duration {
	s.t.Helper()
	took := make([]time.Duration, 0, n)
	for range n {
		s.pushes++
		url := s.url + "/wechat/shop?" + signed("token-of-shop", time.Now()).Encode()
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, url, strings.NewReader(fmt.Sprintf(plainText, s.pushes)))
		must(s.t, err)
		began := time.Now()
		code, body := do(s.t, req)
		d := time.Since(began)
		if code != http.StatusOK || !strings.Contains(body, "transfer_customer_service") || d > budget+time.Second {
			s.t.Fatalf("push %d: %d %s after %s", s.pushes, code, body, d)
		}
		took = append(took, d)
	}
	slices.Sort(took)
	return took
}

// latency is the median and the 99th percentile.
func latency(took []time.Duration) string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", ms(took[len(took)/2]), ms(took[len(took)*99/100]))
}

// dial opens a connection and leaves it to the test's end.
func (s *siege) dial() (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: patience}).DialContext(s.t.Context(), "tcp", s.addr)
	if err == nil {
		s.t.Cleanup(func() { _ = c.Close() }) // closed by the test or by the server, too
	}
	return c, err
}

// crowd opens n connections and does something with each, some at a time.
func (s *siege) crowd(n int, each func(c net.Conn) error) {
	s.t.Helper()
	var opening sync.WaitGroup
	var failed atomic.Pointer[error]
	some := make(chan struct{}, 64)
	for range n {
		some <- struct{}{}
		opening.Go(func() {
			defer func() { <-some }()
			c, err := s.dial()
			if err == nil {
				err = each(c)
			}
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	opening.Wait()
	if err := failed.Load(); err != nil {
		s.t.Fatalf("open %d connections: %v", n, *err)
	}
}

// trickle writes a byte now and again until the server has had enough, and tells
// after how long that was.
func trickle(t *testing.T, c net.Conn, endless string) time.Duration {
	began := time.Now()
	cut := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, c) // until the server closes, however it does
		close(cut)
	}()
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	for i := 0; ; i++ {
		select {
		case <-cut:
			return time.Since(began)
		case <-t.Context().Done():
			return time.Since(began)
		case <-every.C:
			_, _ = c.Write([]byte{endless[i%len(endless)]}) // the server may have closed by then
		}
	}
}

// Those who send as slowly as they can are cut off, and keep nobody waiting.
func TestReliableSlowLoris(t *testing.T) {
	t.Parallel()
	s := besieged(t)
	pushes := soak.Pick(100, 1000)
	before := s.serves(pushes)
	size := soak.Pick(200, 2000)
	head := "POST /wechat/shop?" + signed("token-of-shop", time.Now()).Encode() + " HTTP/1.1\r\nHost: kefud\r\n"
	ways := []struct{ begin, endless string }{
		{"", "P"},                     // not even a method
		{"GET /wechat/shop?", "a=1&"}, // an endless query
		{head, "X-A: b\r\n"},          // endless headers
		{head + "Content-Length: 200000\r\n\r\n", "<"}, // a correctly signed push whose body never ends
		{head + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n<\r\n"},
		{"POST /api/getCustomerServiceUrl HTTP/1.1\r\nHost: kefud\r\nContent-Length: 4000\r\n\r\n", " "},
	}
	var slow sync.WaitGroup
	kept := make(chan time.Duration, size)
	var next atomic.Int64
	s.crowd(size, func(c net.Conn) error {
		way := ways[int(next.Add(1))%len(ways)]
		if _, err := io.WriteString(c, way.begin); err != nil {
			return err
		}
		slow.Go(func() { kept <- trickle(t, c, way.endless) })
		return nil
	})
	during := s.serves(pushes)
	slow.Wait()
	close(kept)
	const limit = 5 * time.Second // of the server, to read a request
	cut := time.Duration(0)
	for took := range kept {
		cut = max(cut, took)
	}
	if cut > limit+patience/2 {
		t.Errorf("a connection was kept for %s, want it cut after %s", cut, limit)
	}
	soak.Measured(t, "slow-loris", "%d slow connections, the last cut after %.1f s; a callback meanwhile: %s; without them: %s",
		size, cut.Seconds(), latency(during), latency(before))
}

// Connections on which nothing is said cost little, and keep nobody waiting.
func TestReliableIdleConnections(t *testing.T) {
	t.Parallel()
	s := besieged(t, "GOGC=100") // what may lie about before it is collected is no connection's
	pushes := soak.Pick(100, 1000)
	before := s.serves(pushes)
	memory := metric(t, s.url, "process_resident_memory_bytes")
	size := soak.Pick(500, 10_000)
	s.crowd(size, func(c net.Conn) error {
		// After an answer it may stay open for two minutes, instead of five seconds.
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: kefud\r\n\r\n"); err != nil {
			return err
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return errors.Join(err, res.Body.Close()) // the connection stays
	})
	during := s.serves(pushes)
	if open := metric(t, s.url, "process_open_fds"); open < float64(size) {
		t.Errorf("the server has %v files open, want %d connections", open, size)
	}
	grown := metric(t, s.url, "process_resident_memory_bytes") - memory
	each := grown / float64(size) / 1024
	const perConnection, besides = 64 << 10, 64 << 20 // the server has done other things meanwhile
	if grown > float64(size)*perConnection+besides {
		t.Errorf("a connection costs %.0f KiB", each)
	}
	soak.Measured(t, "idle-connections", "%d connections, %.0f KiB each; a callback meanwhile: %s; without them: %s",
		size, each, latency(during), latency(before))
}

// exchange writes a request as it stands and gives the status of its answer.
func (s *siege) exchange(request io.Reader) (int, time.Duration) {
	s.t.Helper()
	c, err := s.dial()
	must(s.t, err)
	began := time.Now()
	go func() {
		_, _ = io.Copy(c, request) // the server may answer and close before its end
	}()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, time.Since(began)
	}
	took := time.Since(began)
	_, _ = io.Copy(io.Discard, res.Body) // nobody reads on
	_ = res.Body.Close()                 // it was read only
	must(s.t, c.Close())
	return res.StatusCode, took
}

// chunked writes a body without saying how long it is.
func chunked(body string) string {
	var b strings.Builder
	for chunk := range slices.Chunk([]byte(body), 4096) {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	return b.String() + "0\r\n\r\n"
}

// Whatever is too long is refused, before it is read if it can be.
func TestReliableBounds(t *testing.T) {
	t.Parallel()
	s := besieged(t)
	request := func(token, more, rest string) io.Reader {
		return strings.NewReader("POST /wechat/shop?" + signed(token, time.Now()).Encode() + more + " HTTP/1.1\r\nHost: kefud\r\n" + rest)
	}
	length := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }
	good, bad := "token-of-shop", "another-token"
	message, huge := fmt.Sprintf(plainText, 1_000_001), strings.Repeat(" ", 256<<10)+fmt.Sprintf(plainText, 1_000_002)
	padded := strings.Repeat(" ", 256<<10-len(message)) + message
	endless := io.MultiReader(request(bad, "", "Transfer-Encoding: chunked\r\n\r\n"), &repeated{text: []byte("1000\r\n" + strings.Repeat("x", 4096) + "\r\n")})
	unheard := io.MultiReader(request(bad, "", "Content-Length: 200000\r\n\r\n")) // and not a byte of it
	cases := []struct {
		name    string
		request io.Reader
		want    []int
	}{
		{"a push", request(good, "", length(message)), []int{200}},
		{"a push in chunks", request(good, "", "Transfer-Encoding: chunked\r\n\r\n"+chunked(message)), []int{200}},
		{"a push of 256 KiB", request(good, "", length(padded)), []int{200}},
		{"a push of more", request(good, "", length(huge)), []int{413}},
		{"a push of more in chunks", request(good, "", "Transfer-Encoding: chunked\r\n\r\n"+chunked(huge)), []int{413}},
		{"an endless forged push", endless, []int{403}},
		{"a forged push whose body never comes", unheard, []int{403}},
		{"a forged push that says it has 10 GB", request(bad, "", "Content-Length: 10000000000\r\n\r\nx"), []int{403}},
		{"a push that asks whether to go on", request(bad, "", "Expect: 100-continue\r\n"+length(message)), []int{403}},
		{"two lengths", request(good, "", "Content-Length: 5\r\n"+length(message)), []int{400}},
		{"a length and chunks", request(good, "", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"+chunked(message)), []int{200, 400}},
		{"a length below zero", request(good, "", "Content-Length: -1\r\n\r\n"), []int{400}},
		{"a query of 100 kB", request(good, "&a="+strings.Repeat("x", 100_000), length(message)), []int{431}},
		{"a query of 10,000 parameters", request(good, strings.Repeat("&a=1", 10_000), length(message)), []int{431}},
		{"a query of 3,000 parameters", request(good, strings.Repeat("&a=1", 3_000), length(message)), []int{200}},
		{"a path of 100 kB", strings.NewReader("GET /" + strings.Repeat("x/", 50_000) + " HTTP/1.1\r\nHost: kefud\r\n\r\n"), []int{431}},
		{"a header of 32 KiB", request(good, "", "X-A: "+strings.Repeat("x", 32<<10)+"\r\n"+length(message)), []int{431}},
		{"10,000 headers", request(good, "", strings.Repeat("X-A: b\r\n", 10_000)+length(message)), []int{431}},
		{"no host", strings.NewReader("GET /healthz HTTP/1.1\r\n\r\n"), []int{400}},
		{"no HTTP", bytes.NewReader(append(bytes.Repeat([]byte{0x16, 3, 1, 0xff}, 64), "\r\n\r\n"...)), []int{400}},
		{"a question for a link of 5 kB", strings.NewReader("POST /api/getCustomerServiceUrl HTTP/1.1\r\nHost: kefud\r\n" + length(`{"customerId":"`+strings.Repeat("x", 5000)+`"}`)), []int{400}},
		{"administration with a body", strings.NewReader("POST /api/v1/agents/wang/invitation HTTP/1.1\r\nHost: kefud\r\nContent-Length: 200000\r\n\r\n"), []int{401}},
	}
	for _, tt := range cases {
		code, took := s.exchange(tt.request)
		if !slices.Contains(tt.want, code) {
			t.Errorf("%s: %d, want %v", tt.name, code, tt.want)
		}
		if took > 4*time.Second { // less than a body is waited for
			t.Errorf("%s: answered after %s", tt.name, took)
		}
	}
	s.serves(20)
	soak.Measured(t, "bounds", "%d requests too long or malformed, each refused by its own status; none is waited for", len(cases))
}

// A repeated text has no end.
type repeated struct {
	text []byte
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}
