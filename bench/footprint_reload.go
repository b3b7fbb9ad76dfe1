package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	calmRate   = 500             // pushes a second while the configuration changes
	reloadLast = 2 * time.Second // from one reload to the next
)

// reloads measures what a push waits while ten thousand agents are read again, and
// while their lists come in.
func (f *footprint) reloads(ctx context.Context) error {
	api, stop, err := serveLists(ctx)
	if err != nil {
		return err
	}
	defer stop()
	small, _, err := f.boot(ctx, f.redis.addr, "")
	if err != nil {
		return err
	}
	defer small.stop()
	large, _, err := f.boot(ctx, f.redis.addr, largeConfig(api))
	if err != nil {
		return err
	}
	defer large.stop()
	longest := map[string][]float64{}
	p99 := map[string][]float64{}
	for range f.rounds {
		for _, w := range []struct {
			name string
			p    *process
			hup  bool
		}{{"one agent", small, false}, {"10,000 agents, 100 lists a second", large, false}, {"the same, and a reload every 2 s", large, true}} {
			last, most, err := f.calm(ctx, w.p, w.hup)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			p99[w.name], longest[w.name] = append(p99[w.name], last), append(longest[w.name], most)
		}
	}
	read, swap := large.said.took()
	if len(read) == 0 || len(swap) == 0 {
		return fmt.Errorf("no reload was heard of: %s", large.said.last())
	}
	f.add(figure{what: "10,000 agents, 5,000 entries: building and swapping what a reload brings", goal: "≤ 50 ms", format: "%.1f ms", got: swap, within: atMost(mostReload)})
	f.add(figure{what: "beforehand, beside the pushes: reading and checking the file of 1.1 MB", goal: "–", format: "%.0f ms", got: read})
	for _, name := range []string{"one agent", "10,000 agents, 100 lists a second", "the same, and a reload every 2 s"} {
		f.add(figure{what: "500 pushes a second, " + name + ": p99", goal: "–", format: "%.2f ms", got: p99[name]})
		f.add(figure{what: "500 pushes a second, " + name + ": the longest", goal: "–", format: "%.1f ms", got: longest[name]})
	}
	return nil
}

// calm sends pushes in an open loop and gives p99 and the longest, in ms.
func (f *footprint) calm(ctx context.Context, p *process, hup bool) (float64, float64, error) {
	m, err := newMold(shape{}, customers)
	if err != nil {
		return 0, 0, err
	}
	g, err := newGenerator(ctx, p.addr, m, transferred, f.conns)
	if err != nil {
		return 0, 0, err
	}
	defer g.close()
	if err := g.first(2 * customers); err != nil {
		return 0, 0, fmt.Errorf("warm: %w", err)
	}
	done, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		ticks := time.NewTicker(reloadLast)
		defer ticks.Stop()
		for hup {
			if err := p.Process.Signal(syscall.SIGHUP); err != nil {
				stopped <- fmt.Errorf("reload: %w", err)
				return
			}
			select {
			case <-done:
				hup = false
			case <-ticks.C:
			}
		}
		stopped <- nil
	}()
	took, err := g.open(calmRate, 2*f.d)
	close(done)
	if e := <-stopped; err == nil {
		err = e
	}
	if err != nil || len(took) == 0 {
		return 0, 0, fmt.Errorf("open loop: %w", err)
	}
	return took[len(took)*99/100].Seconds() * 1e3, took[len(took)-1].Seconds() * 1e3, nil
}

// parts runs the benchmarks of what a reload and a list cost by themselves.
func (f *footprint) parts(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkLarge", "-count", strconv.Itoa(f.rounds), "./config", "./presence")
	cmd.Dir, cmd.Stderr = "..", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("benchmarks: %w", err)
	}
	for _, part := range []struct{ name, what string }{
		{"BenchmarkLarge/table", "of that, the table"},
		{"BenchmarkLargePrepare", "of that, who is there"},
		{"BenchmarkLargeRoster", "one app's list of 100 agents comes in: who is there of 10,000"},
	} {
		got := nanoseconds(string(out), part.name)
		if len(got) == 0 {
			return fmt.Errorf("no benchmark %s", part.name)
		}
		f.add(figure{what: part.what, goal: "≤ 50 ms", format: "%.2f ms", got: got, within: atMost(mostReload)})
	}
	return nil
}

// nanoseconds reads a benchmark's times, in ms.
func nanoseconds(out, name string) []float64 {
	var got []float64
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 4 || words[3] != "ns/op" || !strings.HasPrefix(words[0], name+"-") {
			continue
		}
		if ns, err := strconv.ParseFloat(words[2], 64); err == nil {
			got = append(got, ns/1e6)
		}
	}
	return got
}

// largeConfig is a file of 100 apps with 100 agents and 50 entries each, one of them
// that of the generator.
func largeConfig(api string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "wechat: {api_base: %q}\nagents:\n", api)
	for i := range 10_000 {
		fmt.Fprintf(&b, "  - {id: a%05d, desk: {app: %s, account: kf%d@%s}}\n", i, appName(i/100), 2001+i%100, original)
	}
	b.WriteString("apps:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  - name: %s\n    app_id: wx%016d\n    app_secret: secret%02d\n    original_id: %s\n    token: %s\n", appName(i), i, i, original, token)
		b.WriteString("    presence: {refresh: 1s, stale_after: 45s}\n    transfer_to_agent: always\n    default_entry: cs0\n    entries:\n")
		for j := range 50 {
			fmt.Fprintf(&b, "      - {tag: cs%d, steps: [{agent: a%05d}]}\n", j, i*100+2*j)
		}
	}
	return b.String()
}

func appName(i int) string {
	if i == 0 {
		return "shop"
	}
	return fmt.Sprintf("app%02d", i)
}

// serveLists plays WeChat's API as far as lists need it: everybody but one, who is
// another each time, is online.
func serveLists(ctx context.Context) (string, func(), error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	var mu sync.Mutex
	absent := 0
	mux := http.NewServeMux()
	mux.HandleFunc("/cgi-bin/stable_token", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"access_token":"token","expires_in":7200}`)
	})
	mux.HandleFunc("/cgi-bin/customservice/getonlinekflist", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		absent = (absent + 1) % 100
		but := absent
		mu.Unlock()
		type row struct {
			Account string `json:"kf_account"`
			Status  int    `json:"status"`
		}
		rows := make([]row, 0, 100)
		for i := range 100 {
			if i != but {
				rows = append(rows, row{fmt.Sprintf("kf%d@%s", 2001+i, original), 1})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kf_online_list": rows}) // whoever asked has left
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }() // until it is closed
	return "http://" + l.Addr().String(), func() { _ = s.Close() }, nil
}

// A reloadLog reads kefud's log for how long reloads take.
type reloadLog struct {
	mu         sync.Mutex
	rest       []byte
	line       string
	read, swap []float64
}

// Write implements io.Writer.
func (r *reloadLog) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = append(r.rest, p...)
	for {
		line, rest, ok := bytes.Cut(r.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		r.rest = rest
		if bytes.Contains(line, []byte("callback answered")) {
			continue
		}
		r.line = string(line)
		var said struct {
			Message string  `json:"message"`
			Took    float64 `json:"took_ms"`
		}
		if json.Unmarshal(line, &said) != nil {
			continue
		}
		switch said.Message {
		case "config read":
			r.read = append(r.read, said.Took)
		case "config reloaded":
			r.swap = append(r.swap, said.Took)
		}
	}
}

func (r *reloadLog) took() ([]float64, []float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read, r.swap
}

func (r *reloadLog) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.line
}
