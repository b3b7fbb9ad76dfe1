package simulator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Push is something a customer did, as the server is told of it. It can be
// sent more than once: from the second time on it is a re-push, of the same
// body under a new signature.
type Push struct {
	customer *Customer
	id       int64
	kind     string // MsgType
	fields   Fields
	made     time.Time
	refused  error  // why it cannot be sent
	said     string // what a chat must hold to have it, as plain makes it
	picture  string // its bytes

	acted   bool // the customer's allowance was renewed
	tries   int  // how often it left for the server
	fate    Fate
	agent   *Agent // FateAgent, FateStranded
	chats   []*Customer
	answer  Answer // the first good one
	settled bool
}

// A Result is what one sending of a push came to.
type Result struct {
	Push     *Push
	Reach    Reach
	Attempts []Attempt // none: the agent who serves got it past the server
}

// An Attempt is one exchange with the server.
type Attempt struct {
	Took   time.Duration // until the answer was read, or awaited no longer
	Answer Answer        // AnswerNone: none was had, or it is malformed
	Wrong  string        // which rule the answer breaks, or why there is none; "" = a good answer
	Heard  bool          // there was an answer, good or not
}

// ID is the push's number, for messages also their MsgId.
func (p *Push) ID() int64 { return p.id }

// Customer is who caused the push.
func (p *Push) Customer() *Customer { return p.customer }

func (p *Push) event() bool { return p.kind == "event" }

// Send pushes to the server, again when no answer comes, and returns when the
// push has been dealt with. While an agent serves the customer, messages go to
// him instead. Its error is the context's, ErrClosed, or that there is no such
// push; whatever the server does is in the Result.
func (p *Push) Send(ctx context.Context) (Result, error) {
	if p.refused != nil {
		return Result{}, fmt.Errorf("push: %w", p.refused)
	}
	b := p.customer.account.box
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return Result{}, err
	}
	defer leave()
	if p.straight() {
		return p.result(nil), nil
	}
	broken := b.breakPush(p.customer.account)
	if broken.Twice {
		var second sync.WaitGroup
		defer second.Wait()
		second.Go(func() {
			// Its outcome is in the account; the context's error is reported by the first.
			_, _ = p.deliver(ctx, broken)
		})
	}
	attempts, err := p.deliver(ctx, broken)
	return p.result(attempts), err
}

// Repush sends the push once more although it was answered. It is Send under
// the name it has for a push that was sent before.
func (p *Push) Repush(ctx context.Context) (Result, error) { return p.Send(ctx) }

// SendTwice sends the push twice at the same time, as WeChat does when it has
// given up on an exchange that the server has not.
func (p *Push) SendTwice(ctx context.Context) ([2]Result, error) {
	var results [2]Result
	var errs [2]error
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i], errs[i] = p.Send(ctx) })
	}
	wg.Wait()
	return results, errors.Join(errs[:]...)
}

func (p *Push) result(attempts []Attempt) Result {
	b := p.customer.account.box
	b.mu.Lock()
	defer b.mu.Unlock()
	return Result{Push: p, Reach: p.reach(), Attempts: attempts}
}

// straight begins the sending: the customer has acted. If an agent serves him,
// the message is the agent's. Events always go to the server.
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html, read 2026-11.
func (p *Push) straight() bool {
	c := p.customer
	b := c.account.box
	b.mu.Lock()
	defer b.unlock()
	c.account.expire()
	if !p.acted {
		p.acted = true
		c.act(p)
		b.emit(p.told())
	}
	if p.event() || p.tries > 0 || c.desk != deskServed {
		return false
	}
	p.settled, p.fate, p.agent = true, FateAgent, c.agent
	b.emit(Event{Kind: Straight, Account: c.account.o.Name, Customer: c.openid, Agent: c.agent.o.Nick, Push: p.id})
	return true
}

// told is the event of what the customer did.
func (p *Push) told() Event {
	e := Event{Kind: Said, Account: p.customer.account.o.Name, Customer: p.customer.openid, Agent: p.customer.agentName(), Push: p.id}
	switch p.kind {
	case "event":
		e.Kind, e.Text = eventKind(p.fields.text("Event")), p.fields.text("SessionFrom")
	case "text":
		e.Text = p.fields.text("Content")
	default:
		e.Text = "[" + p.kind + "]"
	}
	return e
}

// deliver pushes until the server answers or WeChat gives up.
func (p *Push) deliver(ctx context.Context, broken PushBreak) ([]Attempt, error) {
	b := p.customer.account.box
	var attempts []Attempt
	for try := range 1 + max(b.opts.Repushes, 0) {
		drop := try < broken.DropAnswers
		attempt, judged := p.attempt(ctx, broken.Slow)
		if err := ctx.Err(); err != nil {
			return attempts, fmt.Errorf("push: %w", err)
		}
		if drop {
			attempt = Attempt{Took: attempt.Took, Wrong: "the answer was lost on its way"}
		}
		attempts = append(attempts, attempt)
		p.hear(attempt, judged) //nolint:contextcheck // an agent who takes his time outlives the push
		if attempt.Heard {
			return attempts, nil
		}
	}
	p.giveUp(len(attempts))
	return attempts, nil
}

// hear takes one exchange into the account.
func (p *Push) hear(a Attempt, judged verdict) {
	c := p.customer
	b := c.account.box
	b.mu.Lock()
	defer b.unlock()
	e := Event{Kind: Unheard, Account: c.account.o.Name, Customer: c.openid, Push: p.id, Text: a.Wrong, Took: a.Took}
	if !a.Heard {
		b.emit(e)
		return
	}
	if a.Wrong != "" {
		p.fault(a.Wrong)
		return
	}
	e.Kind, e.Text = Answered, a.Answer.String()
	b.emit(e)
	if p.settled {
		// The connection of the first try is dead: the repeat must say the same.
		// https://blog.csdn.net/weixin_42343756/article/details/119318795, read 2026-11.
		if p.answer.Kind != AnswerNone && p.answer != a.Answer {
			p.broke(fmt.Sprintf("the same push was answered with %s and with %s", p.answer, a.Answer))
		}
		return
	}
	p.settled, p.answer = true, a.Answer
	p.settle(judged)
}

// settle decides the push's fate by its first good answer. Locked.
func (p *Push) settle(judged verdict) {
	c := p.customer
	switch {
	case judged.text != "":
		c.receive(Received{From: FromReply, Type: "text", Text: judged.text})
		fallthrough
	case p.answer.Kind != AnswerTransfer:
		p.fate = FateNone
		if p.owed() {
			p.fate = FateLost
		}
	default:
		c.transfer(p, p.answer.KfAccount)
	}
}

// giveUp ends a push that was never answered.
func (p *Push) giveUp(tries int) {
	b := p.customer.account.box
	b.mu.Lock()
	defer b.unlock()
	p.fault(fmt.Sprintf("no answer within %s, pushed %d times", b.opts.ReplyLimit, tries))
}

// fault writes down a broken rule that WeChat cannot overlook: if the push had
// no good answer before, the customer is told. Locked.
func (p *Push) fault(what string) {
	p.broke(what)
	if p.settled {
		return
	}
	p.settled, p.fate = true, FateFault
	if !p.event() {
		p.customer.receive(Received{From: FromSystem, Type: "text", Text: FaultLine})
	}
}

// broke writes down a broken rule. Locked.
func (p *Push) broke(what string) {
	c := p.customer
	c.account.box.fault(Fault{Account: c.account.o.Name, Customer: c.openid, Push: p.id, What: what})
}
