package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// tick is what /proc counts CPU time in: USER_HZ, 100 a second on every Linux.
const tick = 10 * time.Millisecond

// A process is one that the bench has started.
type process struct {
	*exec.Cmd
	addr string
	said *reloadLog // nil = nobody listens
}

// start runs a program on a core ("" = wherever), and waits until addr is listened at.
func start(ctx context.Context, core, addr string, args ...string) (*process, error) {
	if core != "" {
		args = append([]string{"taskset", "-c", core}, args...)
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the bench's own
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	p := &process{Cmd: c, addr: addr}
	for range 200 {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return p, conn.Close()
		}
		time.Sleep(25 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("%v does not listen at %s", args, addr)
}

func (p *process) stop() {
	_ = p.Process.Kill()
	_ = p.Wait() // says that it was killed
}

// cpu is the time it has computed.
func (p *process) cpu() time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * tick
}

// rss is its memory in MiB.
func (p *process) rss() float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Process.Pid))
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(f[1])
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// metrics reads numbers from /metrics; what is not there is 0.
func (p *process) metrics(ctx context.Context, names ...string) []float64 {
	out := make([]float64, len(names))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/metrics", nil)
	if err != nil {
		return out
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out
	}
	defer func() { _ = resp.Body.Close() }()
	return pick(resp.Body, " ", names)
}

// pick reads numbers from lines of a name, a separator and a number.
func pick(r io.Reader, separator string, names []string) []float64 {
	out := make([]float64, len(names))
	for lines := bufio.NewScanner(r); lines.Scan(); {
		for i, name := range names {
			if text, ok := strings.CutPrefix(lines.Text(), name+separator); ok {
				text, _, _ = strings.Cut(text, ",")
				out[i], _ = strconv.ParseFloat(strings.TrimSpace(text), 64)
			}
		}
	}
	return out
}

// countCalls counts the system calls of the process from now on for so long. perf
// does that without slowing it down as a tracer would; where it is missing, or not
// allowed, 0 are counted.
func (p *process) countCalls(ctx context.Context, d time.Duration) func() float64 {
	var out bytes.Buffer
	c := exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", //nolint:gosec // numbers
		"-p", strconv.Itoa(p.Process.Pid), "--timeout", strconv.FormatInt(d.Milliseconds(), 10))
	c.Stderr = &out
	if c.Start() != nil {
		return func() float64 { return 0 }
	}
	return func() float64 {
		_ = c.Wait() // what it printed tells
		text, _, _ := strings.Cut(out.String(), ",")
		n, _ := strconv.ParseFloat(strings.TrimSpace(text), 64)
		return n
	}
}

// info asks Redis for its counters: script calls, and reads from clients.
func (p *process) info(ctx context.Context) []float64 {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return make([]float64, 2)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "INFO everything\r\nQUIT\r\n")
	return pick(conn, "", []string{"cmdstat_evalsha:calls=", "total_reads_processed:"})
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
