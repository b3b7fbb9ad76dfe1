package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"kefud/config"
	"kefud/handler"
	"kefud/kefu"
	"kefud/store"
)

func (p *program) explainCommand() *cobra.Command {
	var f customerFlags
	c := &cobra.Command{
		Use:   "explain --app APP --openid OPENID",
		Short: "Show the last decisions for a customer, and why each candidate was taken or refused",
		Long: `Show a customer's conversation and the last decisions for him: every candidate,
in the order they were looked at, and why each was taken or refused.

It reads Redis, as the configuration names it. A server on the embedded store,
or one given with --server, is asked over HTTP with admin.token.`,
		Example: "  kefud explain --app shop --openid oABCD1234567890abcdefghijk",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.explain(c.Context(), f)
		},
	}
	f.register(c)
	return c
}

func (p *program) explain(ctx context.Context, f customerFlags) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	c, table, err := p.load(f.config)
	if err != nil {
		return err
	}
	id, err := f.customer("explain", table)
	if err != nil {
		return err
	}
	h, err := history(ctx, c, f.server, id)
	if err != nil {
		return fmt.Errorf("explain %s: %w", id, err)
	}
	return printHistory(p.stdout, h)
}

func history(ctx context.Context, c *config.Config, server string, id kefu.CustomerID) (handler.History, error) {
	if !asksServer(c, server) {
		return historyFromRedis(ctx, c, id)
	}
	client, err := newAdminClient(c, server)
	if err != nil {
		return handler.History{}, err
	}
	return client.history(ctx, id)
}

var errNothingKnown = errors.New("nothing is known of this customer: he has not written, or too long ago")

func historyFromRedis(ctx context.Context, c *config.Config, id kefu.CustomerID) (handler.History, error) {
	s, err := store.Open(ctx, storeOptions(c, zerolog.Nop(), nil))
	if err != nil {
		return handler.History{}, err
	}
	defer s.Close() //nolint:errcheck // only read from
	found, err := s.History(ctx, id)
	if err != nil {
		return handler.History{}, err
	}
	if !found.Found {
		return handler.History{}, errNothingKnown
	}
	return handler.NewHistory(id, found), nil
}

// printHistory writes a history for people.
func printHistory(w io.Writer, h handler.History) error {
	var b strings.Builder
	fmt.Fprintf(&b, "customer %s/%s   entry %s   owner %s%s   serving %s   last push %s\n",
		h.App, h.Customer, dash(h.Entry), dash(h.Owner), lent(h.Borrowed), dash(h.Serving), stamp(h.LastPush))
	if len(h.Decisions) == 0 {
		b.WriteString("no decision is on record\n")
	}
	for _, d := range h.Decisions {
		who := dash(string(d.Agent))
		if d.Agent == "" {
			who = "WeChat's desk"
		}
		fmt.Fprintf(&b, "\n%s  %s at %s -> %s; %s\n", stamp(d.At), d.Kind, d.Entry, who, inWords(d.Reason))
		var t table
		for _, c := range d.Candidates {
			t = append(t, []string{string(c.Agent), place(c), load(c), inWords(c.Reason)})
		}
		b.WriteString(t.String())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func lent(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (lent %d× in a row)", n)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

func place(c kefu.Candidate) string {
	switch {
	case c.Step == 0 && c.Group == "":
		return "first choice"
	case c.Step == 0:
		return "asked for, " + c.Group
	case c.Group != "":
		return fmt.Sprintf("step %d, %s", c.Step, c.Group)
	}
	return fmt.Sprintf("step %d", c.Step)
}

func load(c kefu.Candidate) string {
	limit := "∞"
	if c.Limit > 0 {
		limit = strconv.Itoa(c.Limit)
	}
	return fmt.Sprintf("%d of %s", c.Load, limit)
}
