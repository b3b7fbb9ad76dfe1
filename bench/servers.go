package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/chanxuehong/wechat/mp/core"
	"github.com/chanxuehong/wechat/mp/message/callback/response"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	peer "github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/officialaccount/message"

	"kefud/handler"
	"kefud/internal/garbage"
	"kefud/internal/sink"
	"kefud/kefu"
	"kefud/router"
	codec "kefud/wechat"
)

// serve runs one of the compared servers in this process.
func serve(name, addr string) error {
	gin.SetMode(gin.ReleaseMode)
	var h http.Handler
	name, redisAddr, _ := strings.Cut(name, " ")
	switch name {
	case raw:
		return serveRaw(addr)
	case floor:
		h = engine(func(c *gin.Context) { c.String(http.StatusOK, "success") })
	case asking:
		get, err := asker(redisAddr)
		if err != nil {
			return err
		}
		h = engine(get)
	case "silenceper":
		h = engine(silenceper())
	case "chanxuehong":
		h = engine(chanxuehong())
	case inMemory + "plain", inMemory + "safe":
		return serveMemory(addr, codec.Encryption(name[len(inMemory):]))
	default:
		return fmt.Errorf("no server %q", name)
	}
	return (&http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: time.Minute}).ListenAndServe()
}

// engine is Gin with nothing but the callback, and the counters of the Go runtime.
func engine(callback gin.HandlerFunc) *gin.Engine {
	e := gin.New()
	e.POST("/wechat/:app", callback)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	e.GET("/metrics", gin.WrapH(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	return e
}

// asker is what a push costs that asks Redis anything at all, over one connection for
// all, as kefud does.
func asker(addr string) (gin.HandlerFunc, error) {
	client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	pipe, err := client.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{MaxBatchSize: 200, FullDuplex: true})
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		cmd := redis.NewStringCmd(ctx, "get", "nothing")
		if err := pipe.Submit(ctx, cmd).WaitContext(ctx); !errors.Is(err, redis.Nil) {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.String(http.StatusOK, "success")
	}, nil
}

// serveRaw answers whatever is read with the same bytes: the most that the
// generator can be asked for.
func serveRaw(addr string) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess")
	for {
		c, err := l.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go func() {
			defer func() { _ = c.Close() }()
			in := make([]byte, 8<<10)
			for {
				if _, err := c.Read(in); err != nil {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

// silenceper is github.com/silenceper/wechat's own server, which transfers everybody.
func silenceper() gin.HandlerFunc {
	account := wechat.NewWechat().GetOfficialAccount(&peer.Config{
		AppID: appID, Token: token, EncodingAESKey: aesKey, Cache: cache.NewMemory(),
	})
	return func(c *gin.Context) {
		s := account.GetServer(c.Request, c.Writer)
		s.SetMessageHandler(func(*message.MixMessage) *message.Reply {
			return &message.Reply{MsgType: message.MsgTypeTransfer, MsgData: message.NewTransferCustomer("")}
		})
		if s.Serve() != nil || s.Send() != nil {
			c.Status(http.StatusInternalServerError)
		}
	}
}

// chanxuehong is github.com/chanxuehong/wechat's own server, which transfers everybody.
func chanxuehong() gin.HandlerFunc {
	transfer := core.HandlerFunc(func(c *core.Context) {
		m := c.MixedMsg
		answer, send := response.NewTransferToCustomerService(m.FromUserName, m.ToUserName, m.CreateTime, ""), c.RawResponse
		if c.EncryptType == "aes" {
			send = func(answer any) error { return c.AESResponse(answer, 0, "", nil) }
		}
		if send(answer) != nil {
			c.ResponseWriter.WriteHeader(http.StatusInternalServerError)
		}
	})
	server := core.NewServer(original, appID, token, aesKey, transfer, nil)
	return func(c *gin.Context) { server.ServeHTTP(c.Writer, c.Request, nil) }
}

// serveMemory serves as kefud itself does, without a store.
func serveMemory(addr string, mode codec.Encryption) error {
	garbage.Collect(context.Background())
	registry := prometheus.NewRegistry()
	h, err := memory(mode, registry)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	const most = 1024
	crowd, server := handler.NewCrowd(most, zerolog.Nop(), registry), handler.NewServer(addr, h)
	crowd.Attend(server)
	return server.Serve(crowd.Listen(l))
}

// memory is all of kefud's way of a push but the store.
func memory(mode codec.Encryption, registry *prometheus.Registry) (http.Handler, error) {
	table, err := kefu.NewTable([]kefu.App{{
		ID: "shop", NamesAgents: true, Mute: true, Idle: 30 * time.Minute, Default: "cs1",
		Entries: []kefu.Entry{{Tag: "cs1", Steps: []kefu.Step{{Agents: []kefu.AgentID{"wang"}}}, Sticky: 48 * time.Hour}},
	}}, []kefu.Agent{{ID: "wang", Desk: kefu.Desk{App: "shop", Account: "kf2001@" + original}}})
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	c, err := codec.NewCodec(codec.CodecOptions{
		App: "shop", OriginalID: original, AppID: appID, Token: token, Key: aesKey, Encryption: mode, MaxAge: time.Hour,
	})
	if err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	registry.MustRegister(collectors.NewGoCollector())
	h, err := handler.New(handler.Options{
		Codec: func(kefu.AppID) *codec.Codec { return c },
		Link:  func(string) (string, bool) { return "", false },
		Router: router.New(router.Options{
			Store: kept{}, Seats: kept{}, Board: kept{}, Budget: time.Second,
			Table: func() *kefu.Table { return table },
		}),
		Historian: kept{}, Ready: func() handler.Readiness { return handler.Readiness{Ready: true} },
		Token: func() string { return "" }, Budget: time.Second,
		Logger: zerolog.New(sink.New(os.Stderr)).With().Timestamp().Logger(), Registerer: registry, Gatherer: registry,
	})
	if err != nil {
		return nil, fmt.Errorf("handler: %w", err)
	}
	return h, nil
}

// kept is a store in which every customer has his agent, and who is there.
type kept struct{}

var roster = kefu.NewRoster(1, map[kefu.AppID]map[kefu.AgentID]kefu.Standing{
	"shop": {"wang": {Presence: kefu.PresenceOnline, Account: "kf2001@" + original}},
})

func (kept) Receive(_ context.Context, r kefu.Receipt) (kefu.Received, error) {
	return kefu.Received{
		Conversation: kefu.Conversation{Entry: "cs1", Owner: "wang", Serving: "wang", Live: true, Version: 1},
		First:        r.At, Kept: true, Turn: 1, Answer: r.Reach.Answer("wang"),
	}, nil
}

func (kept) Lookup(context.Context, kefu.CustomerID, kefu.MessageKey) (kefu.Received, error) {
	return kefu.Received{}, nil
}

func (kept) Conversation(context.Context, kefu.CustomerID, time.Time) (kefu.Conversation, error) {
	return kefu.Conversation{}, nil
}

func (kept) Settle(context.Context, kefu.Settlement) (kefu.Settled, error) {
	return kefu.Settled{}, nil
}
func (kept) Seat(context.Context, kefu.SeatRequest) (kefu.Seat, error) { return kefu.Seat{}, nil }
func (kept) Release(context.Context, kefu.CustomerID, kefu.Seat) error { return nil }
func (kept) GiveUp(kefu.SeatRequest)                                   {}
func (kept) Roster(time.Time) *kefu.Roster                             { return roster }
func (kept) Load(agent kefu.AgentID) kefu.Load                         { return kefu.Load{Agent: agent} }
func (kept) Note([]kefu.Load)                                          {}
func (kept) History(context.Context, kefu.CustomerID) (kefu.History, error) {
	return kefu.History{}, nil
}
