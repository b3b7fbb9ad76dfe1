package main

import (
	"context"
	"fmt"
	"strings"

	"kefud/handler"
	"kefud/internal/simulator"
	"kefud/kefu"
	"kefud/relay"
)

// talk is a conversation as both people see it, side by side.
type talk struct {
	*demo
	customer *person
	agent    *simulator.Customer // her chat with the switchboard
	held     kefu.Reason         // why the tap found her
}

// relayed is the scene of an agent who needs nothing but WeChat: she binds her
// chat with a code, a customer taps and writes, both talk.
func relayed(ctx context.Context, d *demo) error {
	v := talk{demo: d, customer: d.person("shop", "小芳"), agent: d.box.Customer(d.accounts["board"], "oDemoAgentOfKefud00000001")}
	v.agent.SetName("孙小姐")
	if err := v.bind(ctx); err != nil {
		return err
	}
	d.say("   %s taps the button %q", v.customer.name, "wx")
	if _, err := v.customer.customer.Tap(ctx, "wx"); err != nil {
		return err
	}
	v.held = d.decisions.of(v.customer.openid).Reason
	d.say("\n   %s %s", cell(v.customer.name+" in the mini-program"), "孙小姐 in her chat with the company's account")
	if err := v.hears(ctx, 1); err != nil { // the greeting
		return err
	}
	for _, turn := range []struct{ asks, answers string }{
		{"你好，有货吗", "有的，红色和黑色"}, {"红色多少钱？", "199 元，包邮"},
	} {
		if err := v.asks(ctx, turn.asks); err != nil {
			return err
		}
		if err := v.answers(ctx, turn.answers); err != nil {
			return err
		}
	}
	return v.commands(ctx, "列表", "结束")
}

// bind gives the agent a code, as kefud agents invite does, and has her send it.
func (v *talk) bind(ctx context.Context) error {
	code := relay.NewCode()
	err := v.server.store.Invite(ctx, kefu.Invitation{
		Agent: "sun", App: "board", Code: code, At: v.server.relay.Now(), For: handler.InvitationTime,
	})
	if err != nil {
		return err
	}
	v.say("   kefud agents invite sun: the code is %s, and 孙小姐 sends it to the company's account", code)
	told, err := v.writes(ctx, code)
	if err != nil {
		return err
	}
	v.say("      she is told: %s", told)
	return v.knows(ctx, "shop", "sun", kefu.PresenceOnline)
}

// asks is the customer's turn.
func (v *talk) asks(ctx context.Context, text string) error {
	n := len(texts(v.agent, simulator.FromAPI))
	if _, err := v.customer.customer.Say(ctx, text); err != nil {
		return err
	}
	v.customer.rows = append(v.customer.rows, row{button: "wx", reason: v.held}) // says more than that he stays with her
	if err := v.box.Await(ctx, func() bool { return len(texts(v.agent, simulator.FromAPI)) > n }); err != nil {
		return fmt.Errorf("孙小姐 waits for %q: %w", text, err)
	}
	v.say("   %s %s", cell(text), "   "+texts(v.agent, simulator.FromAPI)[n])
	return nil
}

// answers is the agent's turn.
func (v *talk) answers(ctx context.Context, text string) error {
	n := len(texts(v.customer.customer, simulator.FromAPI))
	if _, err := v.writes(ctx, text); err != nil {
		return err
	}
	v.say("   %s %s", cell(""), text)
	return v.hears(ctx, n+1)
}

// hears waits for the n-th text that the customer is sent.
func (v *talk) hears(ctx context.Context, n int) error {
	got := func() []string { return texts(v.customer.customer, simulator.FromAPI) }
	if err := v.box.Await(ctx, func() bool { return len(got()) >= n }); err != nil {
		return fmt.Errorf("%s waits for an answer: %w", v.customer.name, err)
	}
	v.say("      %s", got()[n-1])
	return nil
}

// commands are what she writes to kefud itself.
func (v *talk) commands(ctx context.Context, words ...string) error {
	for _, word := range words {
		told, err := v.writes(ctx, word)
		if err != nil {
			return err
		}
		v.say("   %s %s", cell(""), word)
		for line := range strings.Lines(told) {
			v.say("   %s    %s", cell(""), strings.TrimSpace(line))
		}
	}
	return nil
}

// writes is a message of the agent; it gives what she is told.
func (v *talk) writes(ctx context.Context, text string) (string, error) {
	n := len(texts(v.agent, simulator.FromReply))
	if _, err := v.agent.Say(ctx, text); err != nil {
		return "", err
	}
	told := texts(v.agent, simulator.FromReply)
	return strings.Join(told[n:], "\n"), nil
}

// texts lists what somebody has received from a source.
func texts(c *simulator.Customer, source simulator.Source) []string {
	var got []string
	for _, m := range c.Inbox() {
		if m.From == source {
			got = append(got, m.Text)
		}
	}
	return got
}

// cell is a text in the left column of two.
func cell(text string) string {
	const wide = 46
	return text + strings.Repeat(" ", max(1, wide-columns(text)))
}
