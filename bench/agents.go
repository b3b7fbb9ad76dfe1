package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kefud/kefu"
)

// A trial is something that callers do again and again in a town.
type trial struct {
	name  string
	do    func(ctx context.Context, n int) error
	fresh bool // the clock goes on first, so that each push has his agent's seat refreshed
	loads []load
}

// agents is the part about many agents, and about their seats, which one node has.
func (s *scaling) agents(ctx context.Context) (string, error) {
	n, err := s.node(ctx)
	if err != nil {
		return "", err
	}
	defer n.stop()
	t, err := newTown(ctx, fleet{n}.addrs(false), 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = t.store.Close() }()
	working, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = t.store.Run(working) }()                                                       // it ends with working
	if err := many(s.conns, customers, func(n int) error { return t.write(ctx, n) }); err != nil { // all are agent 0's
		return "", err
	}
	push := func(reach kefu.Reach) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			got, err := t.receive(ctx, n, reach)
			if err == nil && !got.Kept {
				err = errors.New("his agent does not go on with him")
			}
			return err
		}
	}
	var all []*trial
	for _, agents := range []int{1, 10, 100, 1000, 10_000} {
		all = append(all, &trial{name: fmt.Sprintf("%d online", agents), do: push(reachOf(0, agents))})
	}
	all = append(all,
		&trial{name: "1 online, and the seat is refreshed", do: push(reachOf(0, 1)), fresh: true},
		&trial{name: "a seat asked for at an entry of 4 agents", do: t.seat})
	for round := range s.rounds + 1 {
		for _, one := range all {
			l, err := t.try(ctx, s, n, one)
			if err != nil {
				return "", fmt.Errorf("%s: %w", one.name, err)
			}
			if round > 0 {
				one.loads = append(one.loads, l)
			}
		}
	}
	decision, err := decide(ctx)
	return agentTable(all) + "\n" + decision, err
}

// seat asks for a seat for customer n, as for a new one.
func (t *town) seat(ctx context.Context, n int) error {
	r := kefu.SeatRequest{Customer: t.who(n), Entry: "e0", At: time.UnixMilli(t.clock.Load()), Idle: idle}
	for i := range ladder {
		r.Candidates = append(r.Candidates, kefu.SeatCandidate{Agent: agentName(i)})
	}
	got, err := t.store.Seat(ctx, r)
	if err == nil && got.Agent == "" {
		err = errors.New("no seat")
	}
	return err
}

// try has every customer do it some times, and waits for the refreshes.
func (t *town) try(ctx context.Context, s *scaling, n *node, one *trial) (load, error) {
	const times = 5
	before, err := read(ctx, nil, fleet{n})
	if err != nil {
		return load{}, err
	}
	for i := range times {
		scripts := before.scripts + float64((i+1)*customers)
		if one.fresh {
			scripts += float64((i + 1) * customers)
			t.clock.Add((idle/20 + time.Second).Milliseconds())
		}
		if err := many(s.conns, customers, func(n int) error { return one.do(ctx, n) }); err != nil {
			return load{}, err
		}
		for tries := 0; ; tries++ {
			r, err := read(ctx, nil, fleet{n})
			if err != nil {
				return load{}, err
			}
			if r.scripts >= scripts {
				break
			}
			if tries == 1000 {
				return load{}, errors.New("the refreshes do not come")
			}
			if err := wait(ctx, 5*time.Millisecond); err != nil {
				return load{}, err
			}
		}
	}
	after, err := read(ctx, nil, fleet{n})
	return after.since(before, times*customers), err
}

func agentTable(all []*trial) string {
	var w strings.Builder
	w.WriteString("## Agents\n\nA push tells Redis which agents of the app can be reached, so that one script can decide; WeChat lets a mini-program have 100. " +
		"A known customer's push with so many online, and what else goes to the one node that has all seats:\n\n" +
		"| | Redis CPU µs | bytes to Redis | scripts |\n|---|---|---|---|\n")
	for _, one := range all {
		of := func(format string, f func(load) float64) string { return spanOf(one.loads, format, f) }
		fmt.Fprintf(&w, "| %s | %s | %s | %s |\n", one.name, of("%.1f", func(l load) float64 { return l.redis }),
			of("%.0f", func(l load) float64 { return l.in }), of("%.1f", func(l load) float64 { return l.scripts }))
	}
	return w.String()
}
