package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kefud/config"
	"kefud/kefu"
)

// customerFlags name a customer, and where to ask about him.
type customerFlags struct{ config, app, openid, server string }

func (f *customerFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "config.yaml", configHelp)
	c.Flags().StringVar(&f.app, "app", "", "the app's name in the configuration")
	c.Flags().StringVar(&f.openid, "openid", "", "the customer's openid in that app")
	c.Flags().StringVar(&f.server, "server", "", serverHelp)
	for _, name := range []string{"app", "openid"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a flag of that name was defined above
		}
	}
}

// customer gives the customer, if there is such an app.
func (f *customerFlags) customer(command string, t *kefu.Table) (kefu.CustomerID, error) {
	if f.openid == "" {
		return kefu.CustomerID{}, usage("--openid is empty; give the customer's openid")
	}
	id := kefu.CustomerID{App: kefu.AppID(f.app), User: f.openid}
	if t.App(id.App) == nil {
		return kefu.CustomerID{}, usage("%s: no app %q in %s", command, f.app, f.config)
	}
	return id, nil
}

// load reads the configuration.
func (p *program) load(path string) (*config.Config, *kefu.Table, error) {
	c, err := config.Load(path, p.env)
	if err != nil {
		return nil, nil, err
	}
	table, err := c.Table()
	if err != nil {
		return nil, nil, err
	}
	return c, table, nil
}

func (p *program) exportCommand() *cobra.Command {
	var f customerFlags
	c := &cobra.Command{
		Use:   "export --app APP --openid OPENID",
		Short: "Print the relayed messages that are kept of a customer, as JSON, one a line",
		Long: `Print the relayed messages that are kept of a customer, the oldest first, as
JSON objects, one a line. Messages that WeChat's own desk took are not among them.

It reads Redis, as the configuration names it, with the transcript.key of the
app. A server on the embedded store, or one given with --server, is asked over
HTTP with admin.token.`,
		Example: "  kefud export --app shop --openid oABCD1234567890abcdefghijk > transcript.jsonl",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.export(c.Context(), f)
		},
	}
	f.register(c)
	return c
}

var errNothingKept = errors.New("no message of this customer is kept")

func (p *program) export(ctx context.Context, f customerFlags) error {
	c, table, err := p.load(f.config)
	if err != nil {
		return err
	}
	id, err := f.customer("export", table)
	if err != nil {
		return err
	}
	var said []kefu.Saying
	err = administer(ctx, c, f.server, func(ctx context.Context, a administration) error {
		var err error
		said, err = a.transcript(ctx, id)
		return err
	})
	if err == nil && len(said) == 0 {
		err = errNothingKept
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", id, err)
	}
	return p.printSayings(said)
}

func (p *program) printSayings(said []kefu.Saying) error {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	for _, s := range said {
		if err := lines.Encode(s); err != nil {
			return fmt.Errorf("print message %s: %w", s.ID, err)
		}
	}
	_, err := p.stdout.Write(b.Bytes())
	return err
}

func (p *program) forgetCommand() *cobra.Command {
	var f customerFlags
	var yes bool
	c := &cobra.Command{
		Use:   "forget --app APP --openid OPENID --yes",
		Short: "Delete everything that is kept of a customer",
		Long: `Delete everything that is kept of a customer: his conversation, whose customer he
is, the decisions for him, what is still to be sent, and the transcript. It cannot
be undone, so it wants --yes. If he writes again, he is somebody new.

It deletes in Redis, as the configuration names it. A server on the embedded
store, or one given with --server, is asked over HTTP with admin.token.`,
		Example: "  kefud forget --app shop --openid oABCD1234567890abcdefghijk --yes",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.forget(c.Context(), f, yes)
		},
	}
	f.register(c)
	c.Flags().BoolVar(&yes, "yes", false, "do it; without it nothing is deleted")
	return c
}

func (p *program) forget(ctx context.Context, f customerFlags, yes bool) error {
	c, table, err := p.load(f.config)
	if err != nil {
		return err
	}
	id, err := f.customer("forget", table)
	if err != nil {
		return err
	}
	if !yes {
		return usage("forget: this would delete everything that is kept of %s, for good; add --yes to do it", id)
	}
	err = administer(ctx, c, f.server, func(ctx context.Context, a administration) error {
		return a.forget(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("forget %s: %w", id, err)
	}
	_, err = fmt.Fprintf(p.stdout, "nothing is kept of %s any more\n", id)
	return err
}
