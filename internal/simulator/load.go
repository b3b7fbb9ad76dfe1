package simulator

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// LoadOptions say whom Load plays. Shares are from 0 to 1.
type LoadOptions struct {
	Accounts    []*Account // customers are spread over them evenly, switchboards left out; nil = all of the Box
	Customers   int
	Messages    int      // per customer
	Tags        []string // session-from values, drawn evenly; nil = an empty one
	Concurrency int      // customers at once; 0 = 1
	Rate        float64  // pushes a second over all; 0 = as fast as the concurrency allows

	Cold       float64 // share of customers who write without having tapped
	Repush     float64 // share of pushes that come again although they were answered
	Twice      float64 // share of pushes that come twice at the same time
	OutOfOrder float64 // share of messages that come after the customer's next one
	Close      bool    // the agent closes after each message, so that the next comes to the server

	Seed  uint64       // the same customers do the same under the same seed
	Reply func(Result) // told of every push; called by several goroutines at once. nil = nobody
}

// A LoadReport is what became of the customers of one Load.
type LoadReport struct {
	Accounted
	Took        time.Duration
	Latency     Latency // of every exchange with the server
	Unheard     int     // exchanges without an answer
	Unaccounted int     // customers who did not come to their end
}

// Well reports whether nothing went wrong and everybody came to his end.
func (r LoadReport) Well() bool { return r.Accounted.Well() && r.Unaccounted == 0 }

// A player plays one Load.
type player struct {
	box  *Box
	o    LoadOptions
	pace pacer

	mu   sync.Mutex
	took []time.Duration
	LoadReport
}

// Load plays customers over all accounts: each comes through a button and
// writes. It returns when all have been dealt with, or with the context's error
// and what was done until then.
func (b *Box) Load(ctx context.Context, o LoadOptions) (LoadReport, error) {
	b.mu.Lock()
	if o.Accounts == nil {
		o.Accounts = b.accounts
	}
	o.Accounts = slices.DeleteFunc(slices.Clone(o.Accounts), (*Account).Switchboard)
	before := b.broken
	b.mu.Unlock()
	if len(o.Accounts) == 0 {
		return LoadReport{}, errors.New("load: no accounts with customers")
	}
	if len(o.Tags) == 0 {
		o.Tags = []string{""}
	}
	p := &player{box: b, o: o}
	if o.Rate > 0 {
		p.pace.every = time.Duration(float64(time.Second) / o.Rate)
	}
	start := time.Now()
	customers, err := p.all(ctx)
	p.Took = time.Since(start)
	p.Latency = newLatency(p.took)
	b.mu.Lock()
	defer b.unlock()
	for _, c := range customers {
		c.account.expire()
		c.sum(&p.Accounted)
	}
	p.Broken = b.broken - before
	return p.LoadReport, err
}

// all plays every customer and returns them.
func (p *player) all(ctx context.Context) ([]*Customer, error) {
	type part struct {
		customer *Customer
		rng      *rand.Rand
	}
	names := rand.New(rand.NewPCG(p.o.Seed, 1)) //nolint:gosec // the same customers come again under the same seed
	parts := make(chan part)
	var workers sync.WaitGroup
	var failed error
	for range max(p.o.Concurrency, 1) {
		workers.Go(func() {
			for part := range parts {
				if err := p.play(ctx, part.customer, part.rng); err != nil {
					p.mu.Lock()
					p.Unaccounted++
					failed = err
					p.mu.Unlock()
				}
			}
		})
	}
	customers := make([]*Customer, 0, p.o.Customers)
	for i := range p.o.Customers {
		c := p.box.Customer(p.o.Accounts[i%len(p.o.Accounts)], openid(names))
		customers = append(customers, c)
		//nolint:gosec // as above
		parts <- part{c, rand.New(rand.NewPCG(p.o.Seed, uint64(i)+2))}
	}
	close(parts)
	workers.Wait()
	return customers, failed
}

// openid makes an openid of the usual form: 28 characters that begin with o.
func openid(rng *rand.Rand) string {
	const alphabet = letters + "-_"
	id := []byte("o")
	for len(id) < 28 {
		id = append(id, alphabet[rng.IntN(len(alphabet))])
	}
	return string(id)
}

// play is one customer from beginning to end.
func (p *player) play(ctx context.Context, c *Customer, rng *rand.Rand) error {
	if tag := p.o.Tags[rng.IntN(len(p.o.Tags))]; rng.Float64() >= p.o.Cold {
		if err := p.send(ctx, c.Enter(tag), rng); err != nil {
			return err
		}
	}
	for n := 0; n < p.o.Messages; n++ {
		messages := []*Push{c.Text("你好，请问在吗？")}
		if n+1 < p.o.Messages && rng.Float64() < p.o.OutOfOrder {
			n++
			messages = []*Push{c.Text("第二句"), messages[0]}
		}
		for _, m := range messages {
			if err := p.send(ctx, m, rng); err != nil {
				return err
			}
		}
		if p.o.Close {
			c.leaveDesk()
		}
	}
	return nil
}

// leaveDesk lets whoever serves the customer close the session.
func (c *Customer) leaveDesk() {
	c.account.box.mu.Lock()
	agent := c.agent
	c.account.box.mu.Unlock()
	if agent != nil {
		agent.Close(c)
	}
}

// send sends one push at its time, as often as chance will have it.
func (p *player) send(ctx context.Context, push *Push, rng *rand.Rand) error {
	if err := p.pace.wait(ctx); err != nil {
		return err
	}
	if rng.Float64() < p.o.Twice {
		results, err := push.SendTwice(ctx)
		p.note(results[0])
		p.note(results[1])
		return err
	}
	result, err := push.Send(ctx)
	p.note(result)
	if err == nil && rng.Float64() < p.o.Repush && len(result.Attempts) > 0 {
		result, err = push.Repush(ctx)
		p.note(result)
	}
	return err
}

func (p *player) note(r Result) {
	if p.o.Reply != nil && r.Push != nil {
		p.o.Reply(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range r.Attempts {
		p.took = append(p.took, a.Took)
		if !a.Heard {
			p.Unheard++
		}
	}
}

// A pacer hands out moments at even intervals. Time that nobody used is not
// made up for by a burst.
type pacer struct {
	every time.Duration // 0 = now is as good as any
	mu    sync.Mutex
	next  time.Time
}

// wait waits for the next moment.
func (p *pacer) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	due := p.next.Sub(now)
	p.next = p.next.Add(p.every)
	p.mu.Unlock()
	return wait(ctx, due)
}
