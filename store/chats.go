package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kefud/kefu"
)

// Opens lists the conversations of a chat, by label, and changes nothing.
func (s *Store) Opens(ctx context.Context, chat kefu.CustomerID, at time.Time, idle time.Duration) ([]kefu.Open, error) {
	var fields map[string]string
	var selected string
	err := s.do(ctx, "opens", s.keys.partition(chat), func(ctx context.Context) error {
		pipe := s.rdb.Pipeline()
		all := pipe.HGetAll(ctx, s.keys.labels(chat))
		sel := pipe.HGet(ctx, s.keys.chat(chat), "sel")
		_, err := pipe.Exec(ctx)
		fields, selected = all.Val(), sel.Val()
		if isNil(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []kefu.Open
	for label, text := range fields {
		n, err := strconv.Atoi(label)
		if err != nil {
			continue // "=customer"
		}
		o, err := s.parseRecord(text)
		if err != nil {
			return nil, err
		}
		o.Label, o.Selected, o.Over = n, label == selected, at.Sub(o.Last) > idle
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b kefu.Open) int { return cmp.Compare(a.Label, b.Label) })
	return out, nil
}

// parseRecord reads a conversation of a chat, as labels.lua writes it.
func (s *Store) parseRecord(text string) (kefu.Open, error) {
	const parts = 5
	f := strings.SplitN(text, "\n", parts)
	if len(f) != parts {
		return kefu.Open{}, fmt.Errorf("a conversation has %d fields, not %d", len(f), parts)
	}
	c, err := customer(f[0])
	if err != nil {
		return kefu.Open{}, err
	}
	l := list{f[2], f[3]}
	return kefu.Open{
		Customer: c, Entry: kefu.EntryTag(f[1]), Waiting: instant(l.number(0)), Last: instant(l.number(1)), Line: s.unseal(c, f[4]),
	}, nil
}
