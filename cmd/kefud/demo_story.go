package main

import (
	"context"
	"fmt"
	"time"

	"kefud/internal/simulator"
	"kefud/kefu"
)

// A person is a customer of the story.
type person struct {
	name, openid string
	customer     *simulator.Customer
	rows         []row
}

// A row is one message of the story's closing table.
type row struct {
	button string
	reason kefu.Reason
}

type scene struct {
	title string
	play  func(context.Context, *demo) error
}

// The story. Each scene leaves everybody as it found them: sessions closed.
var story = []scene{
	{"Three buttons, three agents", threeButtons},
	{"A customer returns without tapping a button: his agent again", returning},
	{"His agent is offline: a stand-in", standIn},
	{"His agent is back, and so is he", back},
	{"Everybody is away: WeChat's own desk keeps the customer for whoever comes first", everybodyAway},
	{"An answer is lost on its way, WeChat pushes the message again: nothing is done twice", pushedAgain},
	{"Safe mode: everything encrypted", safeMode},
	{"The relay: an agent who answers from her own WeChat chat", relayed},
}

func threeButtons(ctx context.Context, d *demo) error {
	for _, id := range []string{"wang", "li", "zhao"} {
		if err := d.comes(ctx, "shop", id); err != nil {
			return err
		}
	}
	for _, v := range []struct{ name, button, text string }{
		{"小明", "cs1", "这款耳机有货吗？"}, {"小红", "cs2", "收到的杯子碎了"}, {"刘总", "vip", "请给我报个价"},
	} {
		p := d.person("shop", v.name)
		if err := d.visit(ctx, p, v.button, v.text); err != nil {
			return err
		}
	}
	return d.leaveAll(ctx)
}

func returning(ctx context.Context, d *demo) error {
	if err := d.writes(ctx, d.person("shop", "小明"), "(chat list)", "还是那款耳机，有红色的吗？"); err != nil {
		return err
	}
	return d.leaveAll(ctx)
}

func standIn(ctx context.Context, d *demo) error {
	if err := d.goes(ctx, "shop", "wang"); err != nil {
		return err
	}
	if err := d.visit(ctx, d.person("shop", "小明"), "cs1", "什么时候能发货？"); err != nil {
		return err
	}
	return d.leaveAll(ctx)
}

func back(ctx context.Context, d *demo) error {
	if err := d.comes(ctx, "shop", "wang"); err != nil {
		return err
	}
	if err := d.visit(ctx, d.person("shop", "小明"), "cs1", "收到了，谢谢"); err != nil {
		return err
	}
	return d.leaveAll(ctx)
}

func everybodyAway(ctx context.Context, d *demo) error {
	for _, id := range []string{"wang", "li", "zhao"} {
		if err := d.goes(ctx, "shop", id); err != nil {
			return err
		}
	}
	p := d.person("shop", "阿强")
	if err := d.visit(ctx, p, "cs1", "有人吗？"); err != nil {
		return err
	}
	if err := d.reads(ctx, p, 2); err != nil {
		return err
	}
	if err := d.comes(ctx, "shop", "li"); err != nil {
		return err
	}
	d.say("   %s takes %s from the desk's queue", d.agents["li"].Nick(), p.name)
	return d.leaveAll(ctx)
}

func pushedAgain(ctx context.Context, d *demo) error {
	heal := d.box.BreakPushes(simulator.PushBreak{Calls: 1, DropAnswers: 1})
	defer heal()
	if err := d.writes(ctx, d.person("shop", "小红"), "(chat list)", "新杯子寄出了吗？"); err != nil {
		return err
	}
	return d.leaveAll(ctx)
}

func safeMode(ctx context.Context, d *demo) error {
	if err := d.comes(ctx, "bank", "chen"); err != nil {
		return err
	}
	return d.visit(ctx, d.person("bank", "小李"), "loan", "想咨询一下贷款")
}

// person finds or makes a customer by name.
func (d *demo) person(app, name string) *person {
	for _, p := range d.people {
		if p.name == name {
			return p
		}
	}
	p := &person{name: name, openid: fmt.Sprintf("oDemoCustomerOfKefud%08d", len(d.people)+1)}
	p.customer = d.box.Customer(d.accounts[app], p.openid)
	d.people = append(d.people, p)
	return p
}

// visit is a tap on a button and a message.
func (d *demo) visit(ctx context.Context, p *person, button, text string) error {
	d.say("   %s taps the button %q", p.name, button)
	before := len(p.customer.Inbox())
	if _, err := p.customer.Tap(ctx, button); err != nil {
		return err
	}
	held := d.decisions.of(p.openid)
	d.say("      held for %s", held)
	if err := d.reads(ctx, p, before+1); err != nil {
		return err
	}
	if err := d.writes(ctx, p, button, text); err != nil {
		return err
	}
	if said := &p.rows[len(p.rows)-1]; said.reason == kefu.ReasonKept {
		said.reason = held.Reason // why he was chosen says more than that he stays
	}
	return nil
}

// reads waits for a customer's n-th message and shows it.
func (d *demo) reads(ctx context.Context, p *person, n int) error {
	if err := d.box.Await(ctx, func() bool { return len(p.customer.Inbox()) >= n }); err != nil {
		return fmt.Errorf("%s waits for a notice: %w", p.name, err)
	}
	d.say("      %s reads: %s", p.name, p.customer.Inbox()[n-1].Text)
	return nil
}

// writes is a message.
func (d *demo) writes(ctx context.Context, p *person, button, text string) error {
	result, err := p.customer.Say(ctx, text)
	if err != nil {
		return err
	}
	decision := d.decisions.of(p.openid)
	d.say("   %s writes: %s", p.name, text)
	for _, a := range result.Attempts[:max(0, len(result.Attempts)-1)] {
		d.say("      no answer heard (%s); pushed again", a.Wrong)
	}
	who := result.Reach.Agent
	if who == "" {
		who = "WeChat's desk, in the queue"
	}
	d.say("      -> %s; kefud: %s", who, decision)
	p.rows = append(p.rows, row{button: button, reason: decision.Reason})
	return nil
}

// comes and goes: an agent, and the server's learning of it.
func (d *demo) comes(ctx context.Context, app, id string) error {
	d.agents[id].SetOnline(true)
	d.say("   %s is online", d.agents[id].Nick())
	return d.knows(ctx, app, id, kefu.PresenceOnline)
}

func (d *demo) goes(ctx context.Context, app, id string) error {
	d.agents[id].SetOnline(false)
	d.say("   %s goes offline", d.agents[id].Nick())
	return d.knows(ctx, app, id, kefu.PresenceOffline)
}

// leaveAll ends all sessions and waits until the conversations are over.
func (d *demo) leaveAll(ctx context.Context) error {
	for _, agent := range d.agents {
		for _, c := range agent.Serving() {
			agent.Close(c)
		}
	}
	idle := d.server.routing.Load().table.App("shop").Idle
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(idle + idle/10):
		return nil
	}
}

// count prints the table and fails unless every customer reached a human.
func (d *demo) count() error {
	t := table{{"customer", "came through", "wrote", "has it", "why"}}
	alone := 0
	for _, p := range d.people {
		reached := p.customer.Reached()
		without := len(reached) == 0
		for i, r := range reached {
			who := r.Agent
			switch r.Fate {
			case simulator.FateAgent:
			case simulator.FateRelayed:
				who += ", in her own chat"
			default:
				who, without = "nobody ("+string(r.Fate)+")", true
			}
			t = append(t, []string{p.name, p.rows[i].button, r.Text, who, inWords(p.rows[i].reason)})
		}
		if without {
			alone++
		}
	}
	d.say("\nWho reached whom:\n%s", t.String())
	faults := d.box.Faults()
	for _, f := range faults {
		d.say("WeChat would complain: %s", f)
	}
	d.say("%d customers without a human", alone)
	if alone > 0 || len(faults) > 0 {
		return fmt.Errorf("%d customers without a human, %d faults", alone, len(faults))
	}
	return nil
}
