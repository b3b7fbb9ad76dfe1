package main

import (
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// SIGTERM while pushes are being answered: each of them is answered well, and
// the process ends in time.
func TestSIGTERMLetsPushesInWorkBeAnswered(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	way := newLag(t, redis.Addr)
	// Where agents have no room left, whom WeChat's desk gives them may come before
	// whom the server meant for them.
	f := launchFleet(t, 1, rigOptions{config: unlimited(smallConfig), redis: redis, addr: way.addr, box: simulator.Options{Repushes: -1}})
	way.delay.Store(int64(200 * time.Millisecond))
	const pushes = 32
	var runners sync.WaitGroup
	var answered atomic.Int32
	results := make([]simulator.Result, pushes)
	for i := range pushes {
		c := f.somebody("shop")
		runners.Go(func() {
			results[i] = f.send(c.Text("hello"))
			answered.Add(1)
		})
	}
	// On a slow machine the last may come when the first are done.
	eventually(t, "all pushes are in work", func() bool { return way.seen.Load() >= pushes || answered.Load() == pushes })
	f.processes[0].signal(syscall.SIGTERM)
	runners.Wait()
	for _, result := range results {
		if got := answer(t, result); got.Kind != simulator.AnswerTransfer {
			t.Errorf("a push in work was answered with %q: %s", got, result.Attempts[0].Wrong)
		}
	}
	if code := f.processes[0].exit(10 * time.Second); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	f.well()
}

// The same under a steady load: whatever the server has answered was heard.
func TestSIGTERMUnderLoadLosesNoAnswer(t *testing.T) {
	t.Parallel()
	f := launchFleet(t, 1, rigOptions{config: smallConfig, box: simulator.Options{Repushes: -1}})
	p := f.processes[0]
	stop := make(chan struct{})
	var runners sync.WaitGroup
	var mu sync.Mutex
	heard := 0
	for range 8 {
		c := f.somebody("shop")
		runners.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				result, err := c.Text("hello").Send(t.Context())
				f.leave(c)
				if err != nil || len(result.Attempts) == 0 || !result.Attempts[0].Heard {
					continue // refused; not accepted any more
				}
				mu.Lock()
				heard++
				mu.Unlock()
				if wrong := result.Attempts[0].Wrong; wrong != "" {
					t.Errorf("a wrong answer: %s", wrong)
				}
			}
		})
	}
	answered := func() int { return strings.Count(p.log.String(), `"message":"callback answered"`) }
	eventually(t, "there is load", func() bool { return answered() > 200 })
	p.signal(syscall.SIGTERM)
	code := p.exit(10 * time.Second)
	close(stop)
	runners.Wait()
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if n := answered(); n != heard {
		t.Errorf("%d answers given, %d heard", n, heard)
	}
	if log := p.log.String(); !strings.Contains(log, `"message":"stopped"`) || strings.Contains(log, "DATA RACE") {
		t.Error("no clean end")
	}
}

// A start takes its time while Redis does not answer; whoever asks for a reload
// meanwhile does not end it.
func TestSIGHUPDoesNotEndAStart(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close() //nolint:errcheck // it is closed once
	p := launch(t, []string{"ADDR=" + silent.Addr().String()}, "serve", "--config", file(t, "config.yaml", smallConfig))
	conn, err := silent.Accept()
	must(t, err)
	defer conn.Close() //nolint:errcheck // nothing was said on it
	p.signal(syscall.SIGHUP)
	p.serving()
	eventually(t, "the file is read again", func() bool { return strings.Contains(p.log.String(), "config reloaded") })
	p.signal(syscall.SIGTERM)
	if code := p.exit(patience); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

func TestSIGHUPTakesOverAGoodFileAndNothingOfABrokenOne(t *testing.T) {
	t.Parallel()
	f := launchFleet(t, 1, rigOptions{config: smallConfig})
	p := f.processes[0]
	first := f.somebody("shop")
	f.tap(first, "cs1")
	f.served(first, "wang")

	paused := strings.Replace(smallConfig, "{id: wang,", "{id: wang, presence: paused,", 1)
	f.rewrite(paused)
	f.logs(p, `"message":"config reloaded"`)
	second := f.somebody("shop")
	f.tap(second, "cs1")
	f.served(second, "li")
	f.served(first, "wang") // whoever is paused keeps the conversations he has

	f.rewrite(strings.Replace(smallConfig, "{agent: zhao}", "{agent: nobody}", 1))
	f.logs(p, `"message":"config not reloaded; the one before stays"`)
	if log := p.log.String(); !strings.Contains(log, `"level":"error"`) || !strings.Contains(log, f.path+":") {
		t.Error("the log does not tell where the file is wrong")
	}
	third := f.somebody("shop")
	f.tap(third, "cs1")
	f.served(third, "li")

	f.rewrite(strings.Replace(smallConfig, "reply_budget: ${BUDGET:-1500ms}", "reply_budget: 2s", 1))
	f.logs(p, "take effect with the next start")
	fourth := f.somebody("shop")
	f.tap(fourth, "cs1")
	f.served(fourth, "wang")
	f.stop(p)
	f.well()
}

// rewrite changes the file and tells the process.
func (f *fleet) rewrite(text string) {
	f.t.Helper()
	must(f.t, os.WriteFile(f.path, []byte(text), 0o600))
	f.processes[0].signal(syscall.SIGHUP)
}

// logs waits for a line in a process's log.
func (f *fleet) logs(p *process, line string) {
	f.t.Helper()
	eventually(f.t, "the log has "+line, func() bool { return strings.Contains(p.log.String(), line) })
}

// served says something, which must come to the agent.
func (f *fleet) served(c *simulator.Customer, agent string) {
	f.t.Helper()
	if result := f.say(c, "hello"); answer(f.t, result).KfAccount == "" || result.Reach.Agent != agent {
		f.t.Errorf("the message is at %q (%s), want it at %s", result.Reach.Agent, answer(f.t, result), agent)
	}
	f.leave(c)
}

func TestRestartOnRedisKeepsAssignments(t *testing.T) {
	t.Parallel()
	f := launchFleet(t, 1, rigOptions{config: smallConfig, redis: redistest.Start(t)})
	f.agents["wang"].SetOnline(false)
	eventually(t, "Wang is known to be away", func() bool { return metric(t, f.url, "kefud_presence_online") == 2 })
	c := f.somebody("shop")
	f.tap(c, "cs1")
	f.served(c, "li")
	f.stop(f.processes[0])
	f.agents["wang"].SetOnline(true)

	f.urls = nil
	f.add()
	f.take()
	f.ready(f.urls[0])
	f.served(c, "li")
	f.tap(c, "cs1")
	f.served(c, "li")
	f.stop(f.processes[1])
	f.well()
}

func TestProcessEndsWithTheExitCodeOfItsTrouble(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }() // nobody connects to it
	taken := file(t, "taken.yaml", strings.Replace(smallConfig, "listen: 127.0.0.1:0", "listen: "+l.Addr().String(), 1))
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"version", []string{"version"}, exitDone, "kefud dev"},
		{"a port that is taken", []string{"serve", "--config", taken}, exitFailed, "listen on " + l.Addr().String()},
		{"no file", []string{"serve", "--config", "no-such.yaml"}, exitUsage, "no-such.yaml"},
		{"an unknown flag", []string{"serve", "--port", "80"}, exitUsage, "unknown flag"},
	} {
		p := launch(t, nil, tt.args...)
		if code := p.exit(patience); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.name, code, tt.code)
		}
		if !strings.Contains(p.log.String(), tt.says) {
			t.Errorf("%s: no %q in:\n%s", tt.name, tt.says, p.log.String())
		}
	}
}

// Connections on which nobody says anything, or says it too slowly, do not keep
// the process from a clean end.
func TestSIGTERMDoesNotWaitForIdlersOnTheLine(t *testing.T) {
	t.Parallel()
	f := launchFleet(t, 1, rigOptions{config: smallConfig})
	for _, said := range []string{"", "POST /wechat/shop HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() }) // the other side has closed it
		_, err = conn.Write([]byte(said))
		must(t, err)
	}
	f.tap(f.somebody("shop"), "cs1") // the server has seen those before
	f.stop(f.processes[0])
}
