package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kefud/kefu"
)

// A trial is something that callers do again and again in a town.
type trial struct {
	name    string
	do      func(ctx context.Context, n int) error
	times   int  // in a round, by as many customers
	scripts int  // that one of them takes
	fresh   bool // the clock goes on first, so that each push has the seat of his agent refreshed
	loads   []load
}

const listed = 100 // apps whose online lists are read at once

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
		all = append(all, &trial{name: fmt.Sprintf("a push, %d online", agents), do: push(reachOf(0, agents)), times: 5 * customers, scripts: 1})
	}
	if err := t.putLists(ctx); err != nil {
		return "", err
	}
	all = append(all,
		&trial{name: "a push, 1 online, and the agent's seat is refreshed", do: push(reachOf(0, 1)), times: customers, scripts: 2, fresh: true},
		&trial{name: "a seat taken at an entry of 4 agents", do: t.seat, times: 5 * customers, scripts: 1},
		&trial{name: fmt.Sprintf("the online lists of %d apps, %d agents each", listed, agentsAnApp), do: t.readLists, times: 100})
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

// putLists shares online lists as WeChat gives them of mini-programs.
func (t *town) putLists(ctx context.Context) error {
	l := kefu.OnlineList{At: time.UnixMilli(t.clock.Load())}
	for i := range agentsAnApp {
		l.Agents = append(l.Agents, kefu.Listed{User: t.who(i).User, ID: strconv.Itoa(1001 + i)})
	}
	for i := range listed {
		if err := t.store.PutList(ctx, townApp(i), l); err != nil {
			return fmt.Errorf("put a list: %w", err)
		}
	}
	return nil
}

func (t *town) readLists(ctx context.Context, _ int) error {
	apps := make([]kefu.AppID, listed)
	for i := range apps {
		apps[i] = townApp(i)
	}
	got, err := t.store.Lists(ctx, apps)
	if err == nil && len(got) != listed {
		err = fmt.Errorf("%d lists", len(got))
	}
	return err
}

// try has it done, and waits until Redis has done all of it: refreshes come later.
func (t *town) try(ctx context.Context, s *scaling, n *node, one *trial) (load, error) {
	if one.fresh {
		t.clock.Add((idle/20 + time.Second).Milliseconds())
	}
	before, err := read(ctx, nil, fleet{n})
	if err != nil {
		return load{}, err
	}
	if err := many(s.conns, one.times, func(n int) error { return one.do(ctx, n%customers) }); err != nil {
		return load{}, err
	}
	for range 1000 {
		after, err := read(ctx, nil, fleet{n})
		if err != nil {
			return load{}, err
		}
		if after.scripts-before.scripts >= float64(one.scripts*one.times) {
			return after.since(before, int64(one.times)), nil
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return load{}, err
		}
	}
	return load{}, errors.New("the refreshes do not come")
}

func agentTable(all []*trial) string {
	var w strings.Builder
	w.WriteString("## Agents\n\nA push tells Redis which agents of the app can be reached, so that one script can decide; WeChat lets a mini-program have 100. " +
		"Below are a known customer's push with so many online; what else there is for the one node that has all seats; and what each process reads once a second.\n\n" +
		"| | Redis CPU µs | bytes to Redis | from Redis | scripts |\n|---|---|---|---|---|\n")
	for _, one := range all {
		of := func(format string, f func(load) float64) string { return spanOf(one.loads, format, f) }
		fmt.Fprintf(&w, "| %s | %s | %s | %s | %d |\n", one.name, of("%.1f", func(l load) float64 { return l.redis }),
			of("%.0f", func(l load) float64 { return l.in }), of("%.0f", func(l load) float64 { return l.out }), one.scripts)
	}
	return w.String()
}
