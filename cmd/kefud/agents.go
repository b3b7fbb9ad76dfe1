package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"kefud/handler"
	"kefud/kefu"
)

type agentsFlags struct{ config, server string }

func (p *program) agentsCommand() *cobra.Command {
	var f agentsFlags
	c := &cobra.Command{
		Use:   "agents",
		Short: "List the agents, and bind or unbind their own WeChat chats",
		Long: `List the agents, and bind or unbind their own WeChat chats, to which a switchboard
carries what their customers write.

It works on Redis, as the configuration names it. A server on the embedded store,
or one given with --server, is asked over HTTP with admin.token.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&f.config, "config", "config.yaml", configHelp)
	c.PersistentFlags().StringVar(&f.server, "server", "", serverHelp)
	c.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the agents: whose chat is bound, and until when something can be sent to it", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return p.listAgents(c.Context(), f) },
		},
		&cobra.Command{
			Use: "invite AGENT", Short: "Print a code by which an agent binds his chat, once, within 10 minutes",
			Example: "  kefud agents invite wang", Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error { return p.inviteAgent(c.Context(), f, args[0]) },
		},
		&cobra.Command{
			Use: "unbind AGENT", Short: "Unbind an agent's chat: nothing more is carried to it",
			Example: "  kefud agents unbind wang", Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error { return p.unbindAgent(c.Context(), f, args[0]) },
		},
	)
	return c
}

func (p *program) listAgents(ctx context.Context, f agentsFlags) error {
	c, _, err := p.load(f.config)
	if err != nil {
		return err
	}
	var all []handler.Agent
	err = administer(ctx, c, f.server, func(ctx context.Context, a administration) error {
		var err error
		all, err = a.agents(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("list agents: %w", err)
	}
	t := table{{"id", "name", "switchboard", "chat", "state", "until"}}
	for _, a := range all {
		if a.Former {
			a.Name = "(not in the configuration)"
		}
		t = append(t, []string{string(a.ID), dash(a.Name), dash(string(a.Switchboard)), dash(a.Bound), dash(a.State), stamp(a.Until)})
	}
	_, err = io.WriteString(p.stdout, t.String())
	return err
}

func (p *program) inviteAgent(ctx context.Context, f agentsFlags, name string) error {
	c, t, err := p.load(f.config)
	if err != nil {
		return err
	}
	agent := t.Agent(kefu.AgentID(name))
	if agent == nil {
		return usage("agents invite: no agent %q in %s", name, f.config)
	}
	if agent.Relay.App == "" {
		return usage("agents invite: agent %q has no relay.app in %s: there is no switchboard to bind a chat with", name, f.config)
	}
	var i handler.Invitation
	err = administer(ctx, c, f.server, func(ctx context.Context, a administration) error {
		var err error
		i, err = a.invite(ctx, agent)
		return err
	})
	if err != nil {
		return fmt.Errorf("invite agent %s: %w", agent.ID, err)
	}
	return p.printInvitation(agent, i)
}

// printInvitation writes the code in a line of its own, then what to do with it.
func (p *program) printInvitation(agent *kefu.Agent, i handler.Invitation) error {
	who := cmp.Or(agent.Name, string(agent.ID))
	minutes := int(handler.InvitationTime / time.Minute)
	_, err := fmt.Fprintf(p.stdout, `%s

The code binds a WeChat chat to %s, once, within %d minutes (until %s).
The agent follows the official account that is %q in the configuration, and sends it the code.
请%s在 %d 分钟内用微信关注该公众号（配置中的 %s），并把绑定码发给它；绑定码只能使用一次。
`, i.Code, who, minutes, i.Expires.Local().Format(time.TimeOnly), i.Switchboard, who, minutes, i.Switchboard)
	return err
}

// unbindAgent also takes agents who have left the configuration.
func (p *program) unbindAgent(ctx context.Context, f agentsFlags, name string) error {
	c, t, err := p.load(f.config)
	if err != nil {
		return err
	}
	id, bound := kefu.AgentID(name), false
	err = administer(ctx, c, f.server, func(ctx context.Context, a administration) error {
		var err error
		bound, err = a.unbind(ctx, id)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("unbind agent %s: %w", id, err)
	case bound:
		_, err := fmt.Fprintf(p.stdout, "the chat of %s is unbound\n", id)
		return err
	case t.Agent(id) == nil:
		return usage("agents unbind: no agent %q in %s", name, f.config)
	case t.Agent(id).Relay.User != "":
		return fmt.Errorf("unbind agent %s: his chat is bound by relay.openid in %s; remove it there", id, f.config)
	}
	return fmt.Errorf("unbind agent %s: no chat is bound to him", id)
}
