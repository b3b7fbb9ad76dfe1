package main

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kefud/internal/simulator"
	"kefud/kefu"
)

func itoa(n int) string { return strconv.Itoa(n) }

// tap is a tap on a contact button. The answer must be a good one. WeChat tells
// two taps apart by the second, so that the next one comes a second later.
func (r *rig) tap(c *simulator.Customer, tag string) simulator.Result {
	r.t.Helper()
	if r.tapped[c] {
		r.clock.advance(time.Second)
	}
	r.tapped[c] = true
	return r.send(c.Enter(tag))
}

// say is a text, and like tap otherwise.
func (r *rig) say(c *simulator.Customer, text string) simulator.Result {
	r.t.Helper()
	return r.send(c.Text(text))
}

func (r *rig) send(p *simulator.Push) simulator.Result {
	r.t.Helper()
	result, err := p.Send(r.t.Context())
	must(r.t, err)
	for _, a := range result.Attempts {
		if a.Wrong != "" {
			r.t.Errorf("a push to %s: %s", p.Customer().Account().Name(), a.Wrong)
		}
	}
	return result
}

// answer is what the last exchange of a sending was answered with.
func answer(t *testing.T, result simulator.Result) simulator.Answer {
	t.Helper()
	if len(result.Attempts) == 0 {
		t.Fatalf("the message went past the server, to %s", result.Reach.Agent)
	}
	return result.Attempts[len(result.Attempts)-1].Answer
}

// reaches says something and wants it to come, through the server, to an agent;
// "" wants a transfer that names nobody. The desk's session is closed after it.
func (r *rig) reaches(c *simulator.Customer, agent string) {
	r.t.Helper()
	result := r.say(c, "hello")
	got := answer(r.t, result)
	want := simulator.Answer{Kind: simulator.AnswerTransfer}
	if agent != "" {
		want.KfAccount = r.account(agent)
		if result.Reach.Fate != simulator.FateAgent || result.Reach.Agent != agent {
			r.t.Errorf("the message is %s, at %q, want it at %s", result.Reach.Fate, result.Reach.Agent, agent)
		}
	}
	if got != want {
		r.t.Errorf("answered with %s, want %s; %+v", got, want, r.decision(c))
	}
	r.leave(c)
}

// account is the desk account of an agent of the config.
func (r *rig) account(agent string) string {
	r.t.Helper()
	i := slices.IndexFunc(r.server.routing.Load().table.Agents, func(a kefu.Agent) bool { return string(a.ID) == agent })
	if i < 0 {
		r.t.Fatalf("no agent %s", agent)
	}
	return r.server.routing.Load().table.Agents[i].Desk.Account
}

// leave ends the customer's session at the desk, if he is in one: his next
// message comes to the server.
func (r *rig) leave(c *simulator.Customer) {
	for _, agent := range r.agents {
		agent.Close(c)
	}
}

// idle waits until the customer's conversation is over for the server.
func (r *rig) idle(c *simulator.Customer) {
	r.t.Helper()
	eventually(r.t, "the conversation is over", func() bool {
		h, err := r.server.store.History(r.t.Context(), id(c))
		return err == nil && !h.Conversation.Live
	})
}

func id(c *simulator.Customer) kefu.CustomerID {
	return kefu.CustomerID{App: kefu.AppID(c.Account().Name()), User: c.OpenID()}
}

// reads waits until the customer has n messages from the API, and gives them.
func (r *rig) reads(c *simulator.Customer, n int) []string {
	r.t.Helper()
	r.await("the customer reads "+itoa(n)+" notices", func() bool { return len(notices(c)) >= n })
	return notices(c)
}

func notices(c *simulator.Customer) []string {
	var texts []string
	for _, m := range c.Inbox() {
		if m.From == simulator.FromAPI {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// decision is the last one that the server logged for a customer.
func (r *rig) decision(c *simulator.Customer) loggedDecision {
	return r.log.decisions.of(c.OpenID())
}

// decided fails the test unless the last decision for the customer was this.
func (r *rig) decided(c *simulator.Customer, agent string, reason kefu.Reason) {
	r.t.Helper()
	if d := r.decision(c); d.Agent != agent || d.Reason != reason {
		r.t.Errorf("decided for %q (%s), want %q (%s)", d.Agent, d.Reason, agent, reason)
	}
}

// A logbook keeps what a server logs.
type logbook struct {
	decisions decisionLog
	mu        sync.Mutex
	text      bytes.Buffer
}

// Write takes a line of the log.
func (l *logbook) Write(line []byte) (int, error) {
	if _, err := l.decisions.Write(line); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// forget drops what was logged until now.
func (l *logbook) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// tail is the end of the log.
func (l *logbook) tail() string {
	const most = 6000
	all := l.String()
	return all[max(0, len(all)-most):]
}

// A wire is the simulated WeChat's way to the server; it keeps the answers.
type wire struct {
	next    http.RoundTripper
	forgets atomic.Bool // keeps nothing from now on
	mu      sync.Mutex
	answers map[string][]string // by the push's body
}

func newWire() *wire {
	return &wire{next: &http.Transport{MaxIdleConnsPerHost: 256}, answers: map[string][]string{}}
}

// RoundTrip passes a push on and keeps what is answered.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	if w.forgets.Load() {
		return resp, resp.Request.Context().Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[string(body)] = append(w.answers[string(body)], string(answer))
	return resp, resp.Request.Context().Err()
}

// to gives all answers to a message in clear, the first first.
func (w *wire) to(p *simulator.Push) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for body, answers := range w.answers {
		if strings.Contains(body, strconv.FormatInt(p.ID(), 10)) {
			return slices.Clone(answers)
		}
	}
	return nil
}

// get asks the server for a page.
func get(t *testing.T, url string, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(body)
}

// metric sums all series of a metric that have the given labels, written name="value".
func metric(t *testing.T, url, name string, labels ...string) float64 {
	t.Helper()
	_, page := get(t, url+"/metrics", nil)
	sum := 0.0
	for line := range strings.Lines(page) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		if slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(series, l) }) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		must(t, err)
		sum += n
	}
	return sum
}

func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	return metric(r.t, r.operators(), name, labels...)
}

// keys lists the keys of a map in order.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
