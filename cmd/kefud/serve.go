package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"kefud/config"
	"kefud/internal/garbage"
)

const configHelp = "the configuration file; the one that ships explains every key"

func (p *program) serveCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: receive WeChat's message pushes at /wechat/{app}, answer them
within reply_budget, deliver notices, watch who is at WeChat's desk.

SIGTERM stops it: /readyz says no, and for shutdown_delay everything else goes on;
then it stops accepting, finishes what is in flight, and exits with 0, all of it
within 10 s. SIGHUP reads the configuration again; a file with an error in it
changes nothing.`,
		Example: "  kefud serve --config config.yaml\n  SHOP_TOKEN=… SHOP_APP_SECRET=… KEFUD_REDIS_ADDRS=127.0.0.1:6379 kefud serve",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.serve(c.Context(), path)
		},
	}
	c.Flags().StringVar(&path, "config", "config.yaml", configHelp)
	return c
}

func (p *program) serve(ctx context.Context, path string) error {
	if _, set := p.env("GOGC"); !set {
		garbage.Collect(ctx)
	}
	// From the very first: it ends a process that does not wait for it, and the start
	// may take its time.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	c, err := config.Load(path, p.env)
	if err != nil {
		return err
	}
	log := newLogger(p.stderr, c.Log)
	s, err := newServerBy(ctx, c, log, p.now)
	if err != nil {
		return err
	}
	p.log.Register(s.registry)
	if err := s.store.Check(ctx); err != nil {
		return errors.Join(&config.Error{File: path, Problems: []config.Problem{{
			Key: "redis.partitions", Wrong: "does not fit what Redis holds: " + err.Error(), Right: "it is fixed with the first start",
		}}}, s.store.Close())
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	if s.store.Health().Embedded {
		log.Warn().Msg("embedded store: its state ends with this process; set redis.addrs for more")
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case <-ended:
				return
			case <-hup:
				p.reload(s, path)
			}
		}
	}()
	return s.run(ctx, l)
}

func (p *program) reload(s *server, path string) {
	begin := time.Now()
	c, err := config.Load(path, p.env)
	if err == nil {
		s.log.Info().Float64("took_ms", milliseconds(time.Since(begin))).Msg("config read")
		err = s.reload(c)
	}
	if err != nil {
		s.log.Error().Err(err).Msg("config not reloaded; the one before stays")
	}
}

// needRestart lists the keys that differ and are read at the start only.
func needRestart(a, b *config.Config) []string {
	var keys []string
	for _, k := range []struct {
		name string
		a, b any
	}{
		{"listen", a.Listen, b.Listen},
		{"admin.listen", a.Admin.Listen, b.Admin.Listen},
		{"log", a.Log, b.Log},
		{"redis", a.Redis, b.Redis},
		{"wechat", a.WeChat, b.WeChat},
		{"reply_budget", a.ReplyBudget, b.ReplyBudget},
		{"trusted_proxies", a.TrustedProxies, b.TrustedProxies},
	} {
		if !reflect.DeepEqual(k.a, k.b) {
			keys = append(keys, k.name)
		}
	}
	return keys
}

func newLogger(w io.Writer, c config.Log) zerolog.Logger {
	if c.Format == config.LogConsole {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		level = zerolog.InfoLevel // a checked config has a level that parses
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}
