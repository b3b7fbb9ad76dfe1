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
	Accounts    []*Account         // customers are spread over them, switchboards left out; nil = all of the Box
	Mix         map[string]float64 // how many customers an account gets, by name, in relation to others; one that is not named gets 1
	Customers   int
	For         time.Duration // customers come until it is over, however many; 0 = Customers of them
	Messages    int           // per customer
	Tags        []string      // session-from values, drawn evenly; nil = an empty one
	Concurrency int           // customers at once; 0 = 1

	// Rate is the pushes a second over all, reached within Ramp: each is due at a
	// moment of its own, whatever became of the others, and its latency counts from
	// then. 0 = as fast as the concurrency allows.
	Rate float64
	Ramp time.Duration

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
	Behind      int     // pushes that left late, by more than lateness: Concurrency is too low for Rate, or the machine too slow
	Unheard     int     // exchanges without an answer
	Unaccounted int     // customers who did not come to their end
}

// lateness is how late a push may leave without being called late.
const lateness = 10 * time.Millisecond

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
	p := &player{box: b, o: o, pace: pacer{rate: o.Rate, ramp: o.Ramp}}
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
	mix := newMix(p.o.Accounts, p.o.Mix)
	begun := time.Now()
	for i := 0; i < p.o.Customers && p.o.For == 0 || time.Since(begun) < p.o.For; i++ {
		c := p.box.Customer(mix.next(), openid(names))
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
	late, err := p.pace.wait(ctx)
	if err != nil {
		return err
	}
	if rng.Float64() < p.o.Twice {
		results, err := push.SendTwice(ctx)
		p.note(results[0], late)
		p.note(results[1], late)
		return err
	}
	result, err := push.Send(ctx)
	p.note(result, late)
	if err == nil && rng.Float64() < p.o.Repush && len(result.Attempts) > 0 {
		result, err = push.Repush(ctx)
		p.note(result, 0)
	}
	return err
}

// note counts what a push came to that left so late.
func (p *player) note(r Result, late time.Duration) {
	if p.o.Reply != nil && r.Push != nil {
		p.o.Reply(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if late > lateness {
		p.Behind++
	}
	for _, a := range r.Attempts {
		p.took = append(p.took, a.Took+late)
		if !a.Heard {
			p.Unheard++
		}
	}
}

// A mix spreads customers over accounts.
type mix struct {
	accounts []*Account
	shares   []float64
	had      []float64
}

func newMix(accounts []*Account, shares map[string]float64) *mix {
	m := &mix{had: make([]float64, len(accounts)), accounts: accounts}
	for _, a := range accounts {
		share, ok := shares[a.o.Name]
		if !ok {
			share = 1
		}
		m.shares = append(m.shares, share)
	}
	return m
}

// next is the account that has the fewest customers for its share; with all
// shares 0 the first.
func (m *mix) next() *Account {
	best := 0
	for i := range m.accounts {
		if m.shares[i] > 0 && (m.shares[best] <= 0 || (m.had[i]+1)/m.shares[i] < (m.had[best]+1)/m.shares[best]) {
			best = i
		}
	}
	m.had[best]++
	return m.accounts[best]
}
