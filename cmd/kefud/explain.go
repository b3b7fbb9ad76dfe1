package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

const explainTimeout = 10 * time.Second

type explainFlags struct{ config, app, openid, server string }

func (p *program) explainCommand() *cobra.Command {
	var f explainFlags
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
	c.Flags().StringVar(&f.config, "config", "config.yaml", configHelp)
	c.Flags().StringVar(&f.app, "app", "", "the app's name in the configuration")
	c.Flags().StringVar(&f.openid, "openid", "", "the customer's openid in that app")
	c.Flags().StringVar(&f.server, "server", "", "ask this server, such as http://127.0.0.1:8080, instead of Redis")
	for _, name := range []string{"app", "openid"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a flag of that name was defined above
		}
	}
	return c
}

func (p *program) explain(ctx context.Context, f explainFlags) error {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	c, err := config.Load(f.config, p.env)
	if err != nil {
		return err
	}
	if f.openid == "" {
		return usage("--openid is empty; give the customer's openid")
	}
	id := kefu.CustomerID{App: kefu.AppID(f.app), User: f.openid}
	table, err := c.Table()
	if err != nil {
		return err
	}
	if table.App(id.App) == nil {
		return usage("explain: no app %q in %s", f.app, f.config)
	}
	var h handler.History
	if f.server == "" && len(c.Redis.Addrs) > 0 {
		h, err = historyFromRedis(ctx, c, id)
	} else {
		h, err = historyFromServer(ctx, c, f.server, id)
	}
	if err != nil {
		return fmt.Errorf("explain %s: %w", id, err)
	}
	return printHistory(p.stdout, h)
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

func historyFromServer(ctx context.Context, c *config.Config, server string, id kefu.CustomerID) (handler.History, error) {
	var h handler.History
	if server == "" {
		own, err := reachable(c.Listen)
		if err != nil {
			return h, err
		}
		server = own
	}
	if c.Admin.Token == "" {
		return h, errors.New("admin.token is not set; the server answers nobody without one (set KEFUD_ADMIN_TOKEN for both)")
	}
	address := strings.TrimSuffix(server, "/") + "/api/v1/apps/" + url.PathEscape(string(id.App)) + "/customers/" + url.PathEscape(id.User) + "/decisions"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return h, fmt.Errorf("ask %s: %w", server, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Admin.Token.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // the address holds the openid
		}
		return h, fmt.Errorf("ask %s: %w", server, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	if resp.StatusCode != http.StatusOK {
		var problem struct{ Detail string }
		if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&problem); err != nil || problem.Detail == "" {
			return h, fmt.Errorf("%s answers %s", server, resp.Status)
		}
		return h, errors.New(problem.Detail)
	}
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		return h, fmt.Errorf("read what %s answers: %w", server, err)
	}
	return h, nil
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
