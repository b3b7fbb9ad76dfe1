package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// ladderStep is how many candidates one script tries, so that a ladder of
// thousands does not keep Redis from everybody else.
const ladderStep = 64

// Seat takes a seat at the first candidate who has one free, or in whose seat
// the customer is already; no agent ever has more customers than his capacity.
// The seat falls free by itself when it has not been refreshed for Idle and a
// twentieth. Up to 64 candidates are one command.
//
// Without a seat the customer waits at his entry, until he has one or has not
// asked for Idle, unless he Stays.
func (s *Store) Seat(ctx context.Context, r kefu.SeatRequest) (kefu.Seat, error) {
	var seat kefu.Seat
	rest := r.Candidates
	for {
		some := rest[:min(len(rest), ladderStep)]
		rest = rest[len(some):]
		got, err := s.seatAmong(ctx, r, some, len(rest) == 0)
		if err != nil {
			return kefu.Seat{}, err
		}
		got.Loads = append(seat.Loads, got.Loads...)
		seat = got
		if seat.Agent != "" || len(rest) == 0 {
			return seat, nil
		}
	}
}

func (s *Store) seatAmong(ctx context.Context, r kefu.SeatRequest, some []kefu.SeatCandidate, last bool) (kefu.Seat, error) {
	score := s.scores.next(r.At.Add(seatFor(r.Idle)))
	j := job{op: "seat", place: s.agents(), script: s.scripts.seat}
	j.names = []string{
		s.keys.known(), s.keys.queue("queue", r.Customer.App, r.Entry),
		s.keys.queue("asked", r.Customer.App, r.Entry), s.keys.seats(r.Holds),
	}
	j.args = []any{
		markNumber(r.Customer), millis(r.At), score, seatTTL(r.Idle), r.Idle.Milliseconds(),
		heldUntil(r), flag(last && !r.Stays),
	}
	for _, c := range some {
		j.names = append(j.names, s.keys.seats(c.Agent))
		j.args = append(j.args, string(c.Agent), c.Capacity)
	}
	reply, err := s.run(ctx, j)
	if err != nil {
		return kefu.Seat{}, err
	}
	text, _ := reply.(string)
	return parseSeat(text, score, some), nil
}

// parseSeat reads what seat.lua returns.
func parseSeat(text, score string, some []kefu.SeatCandidate) kefu.Seat {
	head, text, _ := strings.Cut(text, "\n")
	taken, head, _ := strings.Cut(head, " ")
	before, position, _ := strings.Cut(head, " ")
	seat := kefu.Seat{Position: int(number(position)), Loads: make([]kefu.Load, 0, len(some))}
	if n := int(number(taken)); n > 0 && n <= len(some) {
		seat.Agent, seat.Token = some[n-1].Agent, strings.TrimSuffix(score+" "+before, " ")
	}
	for i := 0; i < len(some) && text != ""; i++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		seats, last, _ := strings.Cut(line, " ")
		seat.Loads = append(seat.Loads, kefu.Load{Agent: some[i].Agent, Seats: int(number(seats)), LastNew: instant(number(last))})
	}
	return seat
}

// heldUntil is the score below which a held seat is that of the conversation
// that gives it up, and not one that another push has taken since; "" if none is
// given up.
func heldUntil(r kefu.SeatRequest) string {
	switch {
	case r.Holds == "":
		return ""
	case r.Held.IsZero():
		return aboveSeat
	}
	return afterSeat(r.Held, r.Idle)
}

// Release undoes one taking of a seat. If the customer was in that seat before,
// he stays in it; if the seat has been taken for him again since, nothing is
// undone. A seat without an agent is none.
func (s *Store) Release(ctx context.Context, c kefu.CustomerID, seat kefu.Seat) error {
	if seat.Agent == "" {
		return nil
	}
	score, before, _ := strings.Cut(seat.Token, " ")
	if score == "" {
		return fmt.Errorf("release a seat of %s: it has no token", seat.Agent)
	}
	_, err := s.run(ctx, job{
		op: "release", place: s.agents(), script: s.scripts.release,
		names: []string{s.keys.seats(seat.Agent)}, args: []any{markNumber(c), score, before},
	})
	return err
}

// Loads tells how many conversations agents have at an instant, in their order.
func (s *Store) Loads(ctx context.Context, at time.Time, agents []kefu.AgentID) ([]kefu.Load, error) {
	if len(agents) == 0 {
		return nil, nil
	}
	counts := make([]*redis.IntCmd, len(agents))
	fields := make([]string, len(agents))
	var known *redis.SliceCmd
	err := s.do(ctx, "loads", s.agents(), func(ctx context.Context) error {
		_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, a := range agents {
				counts[i] = pipe.ZCount(ctx, s.keys.seats(a), "("+strconv.FormatInt(millis(at)*ticks, 10), "+inf")
				fields[i] = string(a)
			}
			known = pipe.HMGet(ctx, s.keys.known(), fields...)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]kefu.Load, len(agents))
	for i, a := range agents {
		_, last, _ := strings.Cut(list(known.Val()).text(i), " ")
		out[i] = kefu.Load{Agent: a, Seats: int(counts[i].Val()), LastNew: instant(number(last))}
	}
	return out, nil
}

// seatFor is how long a seat is kept after it was asked for or refreshed. While
// the customer writes it is refreshed once every twentieth of idle, so an idle
// conversation never outlasts its seat.
func seatFor(idle time.Duration) time.Duration { return idle + idle/20 }

func seatTTL(idle time.Duration) int64 { return (seatFor(idle) + time.Minute).Milliseconds() }

// ticks of a millisecond are what scores of seats count in: the instant a seat falls free,
// and some more that differ from taking to taking. Redis keeps whole numbers in half the
// room of fractions, and scores are exact up to 2^53, which lasts until the year 2109. The
// scripts know ticks too.
const (
	ticks     = 2048
	aboveSeat = "9007199254740992" // 2^53: above every score
)

// afterSeat is above the score of every seat that was asked for up to that millisecond,
// and of none that was asked for later.
func afterSeat(at time.Time, idle time.Duration) string {
	return strconv.FormatInt((millis(at.Add(seatFor(idle)))+1)*ticks, 10)
}

// scores makes the scores of seats.
type scores struct{ n atomic.Uint32 }

func newScores() *scores {
	s := &scores{}
	s.n.Store(rand.Uint32()) //nolint:gosec // it tells takings apart, it guards nothing
	return s
}

func (s *scores) next(free time.Time) string {
	return strconv.FormatInt(millis(free)*ticks+int64(s.n.Add(1)%ticks), 10)
}
