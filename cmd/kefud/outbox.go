package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kefud/handler"
	"kefud/kefu"
)

const (
	listDefault = 200 // deliveries that are listed
	listMost    = 10_000
	retryMost   = 200_000 // that --all looks at
)

// outboxFlags say whose deliveries are meant, and where to ask.
type outboxFlags struct {
	config, server, app  string
	buried, waiting, all bool
	json                 bool
	limit                int
}

func (p *program) outboxCommand() *cobra.Command {
	var f outboxFlags
	c := &cobra.Command{
		Use:   "outbox",
		Short: "List what is owed to customers and what was given up, and try again to send it",
		Long: `List what is owed to customers and what was given up, and try again to send it.

What WeChat refuses for a reason that no repeat can mend is buried: it is kept
for 30 days, and for somebody to see to the reason. What it says is not shown.

It works on Redis, as the configuration names it. A server on the embedded store,
or one given with --server, is asked over HTTP with admin.token.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&f.config, "config", "config.yaml", configHelp)
	c.PersistentFlags().StringVar(&f.server, "server", "", serverHelp)
	c.PersistentFlags().StringVar(&f.app, "app", "", "only what is owed by this app")
	list := &cobra.Command{
		Use: "list", Short: "List deliveries that are owed: to whom, of what kind, why they are not sent, until when they may be",
		Example: "  kefud outbox list --buried --app shop", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.listOwed(c.Context(), f) },
	}
	list.Flags().BoolVar(&f.buried, "buried", false, "only what was given up")
	list.Flags().BoolVar(&f.waiting, "waiting", false, "only what is still to be sent")
	list.Flags().BoolVar(&f.json, "json", false, "as JSON objects, one a line")
	list.Flags().IntVar(&f.limit, "limit", listDefault, fmt.Sprintf("list so many of each state at most, up to %d", listMost))
	retry := &cobra.Command{
		Use: "retry ID… | --all", Short: "Put buried deliveries back to be sent, if they still may be",
		Example: "  kefud outbox retry 3.9f86d081.1795600000000-1a\n  kefud outbox retry --all --app shop",
		RunE:    func(c *cobra.Command, args []string) error { return p.retryOwed(c.Context(), f, args) },
	}
	retry.Flags().BoolVar(&f.all, "all", false, "all that are buried and may still be sent")
	c.AddCommand(list, retry)
	return c
}

func (p *program) listOwed(ctx context.Context, f outboxFlags) error {
	if f.limit < 1 || f.limit > listMost {
		return usage("outbox list: --limit is %d; give a number from 1 to %d", f.limit, listMost)
	}
	if f.buried && f.waiting {
		return usage("outbox list: --buried and --waiting are both given; give one of them, or none for all")
	}
	states := []kefu.OwedState{kefu.OwedBuried, kefu.OwedWaiting}
	if f.buried || f.waiting {
		states = map[bool][]kefu.OwedState{true: states[:1], false: states[1:]}[f.buried]
	}
	c, t, err := p.load(f.config)
	if err != nil {
		return err
	}
	if f.app != "" && t.App(kefu.AppID(f.app)) == nil {
		return usage("outbox list: no app %q in %s", f.app, f.config)
	}
	var all []handler.Owed
	more := false
	err = administerLong(ctx, c, f.server, func(ctx context.Context, a administration) error {
		for _, state := range states {
			some, left, err := owedOf(ctx, a, state, f)
			if err != nil {
				return err
			}
			all, more = append(all, some...), more || left
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list outbox: %w", err)
	}
	return p.printOwed(all, more, f)
}

// owedOf reads as much as is to be listed, and reports whether there is more.
func owedOf(ctx context.Context, c creditor, state kefu.OwedState, f outboxFlags) ([]handler.Owed, bool, error) {
	var all []handler.Owed
	q := kefu.OwedQuery{State: state, App: kefu.AppID(f.app)}
	for len(all) < f.limit {
		q.Limit = min(f.limit-len(all), handler.OwedMost)
		within, cancel := context.WithTimeout(ctx, adminTimeout)
		page, err := c.owed(within, q)
		cancel()
		if err != nil {
			return nil, false, err
		}
		all = append(all, page.Deliveries...)
		if page.Next == "" {
			return all, false, nil
		}
		q.Cursor = page.Next
	}
	return all, true, nil
}

func (p *program) printOwed(all []handler.Owed, more bool, f outboxFlags) error {
	var b strings.Builder
	if f.json {
		lines := json.NewEncoder(&b)
		lines.SetEscapeHTML(false)
		for _, d := range all {
			if err := lines.Encode(d); err != nil {
				return fmt.Errorf("print delivery %s: %w", d.ID, err)
			}
		}
		_, err := io.WriteString(p.stdout, b.String())
		return err
	}
	t := table{{"id", "state", "app", "customer", "kind", "attempts", "since", "until", "reason"}}
	for _, d := range all {
		t = append(t, []string{
			d.ID, string(d.State), string(d.App), dash(d.Customer), d.Kind, strconv.Itoa(d.Attempts), stamp(d.Since), stamp(d.Until), reasonOf(d),
		})
	}
	b.WriteString(t.String())
	if more {
		fmt.Fprintf(&b, "there may be more than %d; see --limit\n", f.limit)
	}
	_, err := io.WriteString(p.stdout, b.String())
	return err
}

// reasonOf tells why a delivery is not sent.
func reasonOf(d handler.Owed) string {
	text := dash(d.Reason)
	if d.Code != 0 {
		text += fmt.Sprintf(" (errcode %d)", d.Code)
	}
	if d.Meaning != "" {
		text += ": " + d.Meaning
	}
	return text
}

var errNotAll = errors.New("not all of them were put back")

func (p *program) retryOwed(ctx context.Context, f outboxFlags, ids []string) error {
	if f.all == (len(ids) > 0) {
		return usage("outbox retry: give the ids that kefud outbox list shows, or --all")
	}
	if f.app != "" && !f.all {
		return usage("outbox retry: --app goes with --all; an id is of one app alone")
	}
	c, t, err := p.load(f.config)
	if err != nil {
		return err
	}
	if f.app != "" && t.App(kefu.AppID(f.app)) == nil {
		return usage("outbox retry: no app %q in %s", f.app, f.config)
	}
	refused, late := 0, 0
	err = administerLong(ctx, c, f.server, func(ctx context.Context, a administration) error {
		if f.all {
			f.limit = retryMost
			all, _, err := owedOf(ctx, a, kefu.OwedBuried, f)
			if err != nil {
				return err
			}
			ids, late = sendable(all, time.Now())
		}
		slices.SortStableFunc(ids, written)
		var err error
		refused, err = p.putBack(ctx, a, ids)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("retry: %w", err)
	case f.all:
		_, err := fmt.Fprintf(p.stdout, "%d put back, %d cannot be sent any more\n", len(ids)-refused, late+refused)
		return err
	case refused > 0:
		return fmt.Errorf("retry: %w", errNotAll)
	}
	return nil
}

// sendable gives the ids of the deliveries that may still be sent, and tells how
// many may not.
func sendable(all []handler.Owed, now time.Time) ([]string, int) {
	var ids []string
	for _, d := range all {
		if d.Until.After(now) && d.Kind != "line" {
			ids = append(ids, d.ID)
		}
	}
	return ids, len(all) - len(ids)
}

// written compares ids by when their deliveries were written down: a customer's
// later words must not be put back, and sent, before his earlier ones. An id ends
// with milliseconds and a number.
func written(a, b string) int {
	var at, n [2]int64
	for i, id := range []string{a, b} {
		_, _ = fmt.Sscanf(id[strings.LastIndex(id, ".")+1:], "%d-%d", &at[i], &n[i]) // what is no id is refused later
	}
	return cmp.Or(cmp.Compare(at[0], at[1]), cmp.Compare(n[0], n[1]))
}

// putBack puts deliveries back one by one, says of each what became of it, and
// tells how many were refused.
func (p *program) putBack(ctx context.Context, c creditor, ids []string) (int, error) {
	refused := 0
	for _, id := range ids {
		within, cancel := context.WithTimeout(ctx, adminTimeout)
		done, err := c.retry(within, id)
		cancel()
		var text string
		why := (*refusal)(nil)
		switch {
		case errors.As(err, &why) && (why.status == http.StatusConflict || why.status == http.StatusNotFound):
			refused++
			text = "not put back: " + why.detail
		case err != nil:
			return refused, err
		case done.Again:
			text = "was put back before"
		default:
			text = "put back; it may be sent until " + stamp(done.Until)
		}
		if _, err := fmt.Fprintf(p.stdout, "%s  %s\n", id, text); err != nil {
			return refused, err
		}
	}
	return refused, nil
}
