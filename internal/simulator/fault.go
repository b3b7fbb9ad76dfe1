package simulator

import (
	"context"
	"net"
	"net/http"
	"slices"
	"time"
)

// A PushBreak is trouble with pushes, on demand. What it can do is done together.
type PushBreak struct {
	Account     *Account      // nil = all
	Calls       int           // of so many pushes from now on; 0 = until it is lifted
	Slow        time.Duration // the body takes so long to arrive, and the answer waits as long to be read
	DropAnswers int           // the answers to the first so many tries are lost on their way
	Twice       bool          // the push is sent twice at the same time
}

type pushBreak struct{ PushBreak }

// BreakPushes makes trouble with pushes, until the function it returns is called.
func (b *Box) BreakPushes(broken PushBreak) func() {
	p := &pushBreak{broken}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pushings = append(b.pushings, p)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.pushings = slices.DeleteFunc(b.pushings, func(o *pushBreak) bool { return o == p })
	}
}

// breakPush finds the trouble of a push that is about to leave.
func (b *Box) breakPush(a *Account) PushBreak {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, p := range b.pushings {
		if p.Account != nil && p.Account != a {
			continue
		}
		if p.Calls == 1 {
			b.pushings = slices.Delete(b.pushings, i, i+1)
		}
		p.Calls--
		return p.PushBreak
	}
	return PushBreak{}
}

// An APIBreak is trouble with API calls, on demand.
type APIBreak struct {
	Path     string        // such as "/cgi-bin/message/custom/send"; "" = all
	Account  *Account      // nil = all, and calls whose account is not known
	Calls    int           // of so many calls from now on; 0 = until it is lifted
	Latency  time.Duration // added, whatever else is wrong
	Status   int           // answers with this status and an HTML page
	ErrCode  int           // answers with this errcode
	ErrMsg   string        // and this errmsg; "" = one that says nothing
	Truncate bool          // cuts the answer's JSON in half; the call takes effect
	Reset    bool          // resets the connection instead of an answer
	Late     bool          // Status and Reset strike after the call has taken effect
}

type apiBreak struct{ APIBreak }

// BreakAPI makes trouble with API calls, until the function it returns is called.
func (b *Box) BreakAPI(broken APIBreak) func() {
	p := &apiBreak{broken}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.breaks = append(b.breaks, p)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.breaks = slices.DeleteFunc(b.breaks, func(o *apiBreak) bool { return o == p })
	}
}

// breakCall counts an API call and finds its trouble.
func (b *Box) breakCall(path string, a *Account) APIBreak {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hits[path]++
	for i, p := range b.breaks {
		if (p.Path != "" && p.Path != path) || (p.Account != nil && p.Account != a) {
			continue
		}
		if p.Calls == 1 {
			b.breaks = slices.Delete(b.breaks, i, i+1)
		}
		p.Calls--
		return p.APIBreak
	}
	return APIBreak{}
}

// Hits counts the calls that came for a path, whatever they were answered with.
func (b *Box) Hits(path string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hits[path]
}

// Down takes the API away, as an outage does: whatever is under way is cut, and
// connections are refused. The function it returns brings it back at the same
// addresses; it is called once.
func (b *Box) Down() func(context.Context) error {
	b.mu.Lock()
	servers, addrs := b.servers, b.addrs
	b.servers, b.addrs = nil, nil
	b.mu.Unlock()
	for _, s := range servers {
		_ = s.Close() // it reports only that a listener was closed before
	}
	return func(ctx context.Context) error {
		for _, addr := range addrs {
			if _, err := b.Start(ctx, addr); err != nil {
				return err
			}
		}
		return nil
	}
}

const errorPage = `<html>
<head><title>%d %s</title></head>
<body><center><h1>%[1]d %[2]s</h1></center></body>
</html>
`

// reset ends a connection without an answer: by a TCP reset where there is a
// TCP connection, else by breaking the exchange off.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // then Close ends the connection all the same
	}
	_ = conn.Close() // nobody is left to tell
}

// delay is an API call's added latency. It ends early when the caller hangs up
// or the Box closes.
func (b *Box) delay(ctx context.Context, d time.Duration) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return
	}
	defer leave()
	_ = wait(ctx, d) // cut or not, the call goes on; a caller who has left hears nothing
}
