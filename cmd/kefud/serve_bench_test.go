package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kefud/config"
	"kefud/internal/redistest"
	"kefud/internal/sink"
)

const benchConfig = `
listen: 127.0.0.1:0
redis: {addrs: "${ADDR}"}
agents: [{id: wang, capacity: 0, presence: online, desk: {app: shop, account: kf2001@gh_shop}}]
apps:
  - {name: shop, app_id: wx00000000000000a1, original_id: gh_shop, token: token-of-shop, transfer_to_agent: always,
     default_entry: cs1, entries: [{tag: cs1, steps: [{agent: wang}]}]}
`

// BenchmarkServe has the whole server answer plain pushes of customers who are known,
// with a Redis behind it. Its CPU profile is default.pgo, by which the shipped program is optimized: make pgo.
func BenchmarkServe(b *testing.B) {
	const callers = 64
	redis := redistest.Start(b)
	c, err := config.Parse("bench.yaml", []byte(benchConfig), func(string) (string, bool) { return redis.Addr, true })
	if err != nil {
		b.Fatal(err)
	}
	log := sink.New(io.Discard)
	defer log.Close()
	s, err := newServer(b.Context(), c, zerolog.New(log).Level(zerolog.InfoLevel).With().Timestamp().Logger())
	if err != nil {
		b.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", c.Listen)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, l) }()
	defer func() {
		stop()
		<-ended
	}()
	var next atomic.Int64
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			if err := benchCaller(b, l.Addr().String(), i, &next); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
}

// benchCaller pushes for one customer until there were as many pushes as asked for.
func benchCaller(b *testing.B, addr string, i int, next *atomic.Int64) error {
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	const number = "24000000000000000"
	body := fmt.Sprintf("<xml><ToUserName><![CDATA[gh_shop]]></ToUserName>\n<FromUserName><![CDATA[oBENCHBENCHBENCHBENCHBENCH%02d]]></FromUserName>\n"+
		"<CreateTime>1700000000</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[你好]]></Content>\n<MsgId>%s</MsgId>\n</xml>", i, number)
	request := fmt.Appendf(nil, "POST /wechat/shop?%s HTTP/1.1\r\nHost: kefud\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s",
		signed("token-of-shop", time.Now()).Encode(), len(body), body)
	head, _, _ := bytes.Cut(request, []byte(number))
	digits := request[len(head):][:len(number)]
	answer := make([]byte, 4096)
	for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
		copy(digits, strconv.FormatInt(24000000000000000+n, 10))
		if _, err := conn.Write(request); err != nil {
			return err
		}
		got, err := conn.Read(answer) // it comes in one piece
		if err != nil {
			return err
		}
		if !bytes.Contains(answer[:got], []byte("kf2001@gh_shop")) {
			return fmt.Errorf("unexpected answer: %q", answer[:got])
		}
	}
	return nil
}
