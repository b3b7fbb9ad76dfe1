package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// modelWorlds is how many servers are walked at the same time: most of a walk is
// waiting for messages to be joined.
const modelWorlds = 4

// Whatever customers and agents do, in whatever order, and whatever fails
// meanwhile: an agent's words reach nobody but the customer whom he has selected,
// as a model of that in plain Go has it, and all that was answered well has come
// in the end.
func TestRelayAtRandomDoesAsItsModel(t *testing.T) {
	t.Parallel()
	for n := range modelWorlds {
		t.Run(fmt.Sprintf("world %d", n+1), func(t *testing.T) {
			t.Parallel()
			r := start(t, rigOptions{config: playConfig, redis: redistest.Start(t), env: map[string]string{"BUDGET": "4s", "API_TIMEOUT": "10s"}})
			round, seen := 0, map[string]int{}
			rapid.Check(t, func(rt *rapid.T) {
				round++
				w := newWorld(rt, r, round)
				w.count = seen
				rt.Repeat(map[string]func(*rapid.T){
					"customer writes": w.customerWrites, "customer writes again": w.customerWrites, "customer taps": w.customerTaps,
					"agent writes": w.agentWrites, "agent writes to a label": w.agentWritesTo, "agent writes again": w.agentWrites,
					"agent commands": w.agentCommands, "agent manages": w.agentManages, "agent is missed": w.missed, "agent leaves or returns": w.agentBlocks,
					"api fails": w.fails,
				})
				w.drain(rt)
			})
			t.Log(seen)
			for _, f := range r.box.Faults() {
				t.Errorf("WeChat would complain: %s", f)
			}
		})
	}
}

type (
	// A world is two agents in new chats, and three new customers.
	world struct {
		r         *rig
		chats     []*modelChat
		people    []*patron
		heals     []func()
		ambiguous bool // something was sent that seemed to have failed
		written   int
		story     []string
		count     map[string]int // what was seen, to tell a walk that goes nowhere
	}
	// A modelChat is what an agent knows of his chat.
	modelChat struct {
		*chat
		open     map[string]int // labels of his customers
		selected string         // "" = nobody
		taken    bool           // the selected one, or one while none was, was taken from him, and he has not written since
		gone     bool
	}
)

func newWorld(rt *rapid.T, r *rig, round int) *world {
	w := &world{r: r}
	for _, id := range []string{"wang", "li"} {
		user := r.box.Customer(r.accounts["board"], fmt.Sprintf("oModel%s%06d", strings.Repeat("x", 12)+id, round))
		user.SetName(id)
		c := &chat{r: r, id: id, user: user}
		if told := c.says(r.invite(id)); !strings.Contains(told, "绑定成功") {
			rt.Fatalf("%s sent his code and is told %q", id, told)
		}
		w.chats = append(w.chats, &modelChat{chat: c, open: map[string]int{}})
	}
	for range 3 {
		c := r.somebody("shop")
		w.people = append(w.people, &patron{r: r, user: c, name: fmt.Sprintf("c%02d", r.people)})
	}
	return w
}

// own names who caused a change of what is open in a chat.
type own struct {
	chat     *modelChat
	customer string
}

// sees brings the model up to what is open in the chats now, by the rules of
// selection: a conversation that comes is selected if there is no other; one
// that is taken away leaves the agent without a selection, unless he has another
// selected; one that he gave away himself leaves him the only one there is.
func (w *world) sees(rt *rapid.T, by own) {
	for _, m := range w.chats {
		now := map[string]int{}
		for _, o := range w.opens(rt, m) {
			now[w.nameOf(o.Customer)] = o.Label
		}
		comes := false
		for name := range m.open {
			if now[name] == m.open[name] {
				continue
			}
			delete(m.open, name)
			w.count["taken out"]++
			mine := by == own{m, name}
			if m.selected == name {
				m.selected = ""
			}
			comes = comes || mine
			m.taken = m.taken || (m.selected == "" && !mine)
		}
		for name, label := range now {
			comes = comes || m.open[name] != label
			m.open[name] = label
		}
		if comes {
			m.selectOnly()
		}
		w.tell("%s has %v open, %q selected, taken %v", m.id, m.open, m.selected, m.taken)
		for _, o := range w.opens(rt, m) {
			if o.Selected {
				w.tell("server: selected %s", w.nameOf(o.Customer))
			}
		}
	}
}

// selectOnly selects the only conversation there is, unless he has another, or
// may be about to write to one that was taken from him.
func (m *modelChat) selectOnly() {
	if m.selected == "" && !m.taken && len(m.open) == 1 {
		m.selected = keys(m.open)[0]
	}
}

// aims gives whom a message without a label is for. If one that he may mean was
// taken from him it is for nobody: he may not have known.
func (m *modelChat) aims() string {
	if m.taken {
		m.taken = false
		m.selectOnly()
		return ""
	}
	return m.selected
}

// tell adds to the story, which explains a failure.
func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

func (w *world) opens(rt *rapid.T, m *modelChat) []kefu.Open {
	opens, err := w.r.server.store.Opens(w.r.t.Context(), id(m.user), time.Now(), time.Hour)
	if err != nil {
		rt.Fatalf("conversations of %s: %v", m.id, err)
	}
	return opens
}

func (w *world) nameOf(c kefu.CustomerID) string {
	for _, p := range w.people {
		if id(p.user) == c {
			return p.name
		}
	}
	return "somebody else"
}

func (w *world) person(rt *rapid.T) *patron {
	return w.people[rapid.IntRange(0, len(w.people)-1).Draw(rt, "customer")]
}

func (w *world) agent(rt *rapid.T) *modelChat {
	return w.chats[rapid.IntRange(0, len(w.chats)-1).Draw(rt, "agent")]
}

func (w *world) customerWrites(rt *rapid.T) {
	p := w.person(rt)
	fate := p.write().Reach.Fate
	w.tell("%s writes %s-%04d, which is %s", p.name, p.name, len(p.written), fate)
	w.count["message "+string(fate)]++
	w.sees(rt, own{})
}

func (w *world) customerTaps(rt *rapid.T) {
	p := w.person(rt)
	entry := rapid.SampledFrom([]string{"one", "two", "both", ""}).Draw(rt, "entry")
	w.tell("%s taps %q", p.name, entry)
	w.r.tap(p.user, entry)
	w.sees(rt, own{})
}

func (w *world) agentWrites(rt *rapid.T) {
	m := w.agent(rt)
	if m.gone {
		return // who has left writes nothing
	}
	w.says(rt, m, m.aims(), "%s")
}

func (w *world) agentWritesTo(rt *rapid.T) {
	m := w.agent(rt)
	if m.gone || len(m.open) == 0 {
		return // nobody to write to
	}
	name := rapid.SampledFrom(keys(m.open)).Draw(rt, "to")
	m.selected, m.taken = name, false
	w.says(rt, m, name, fmt.Sprintf("#%d %%s", m.open[name]))
}

// says lets an agent write words that are for one customer, or for nobody.
func (w *world) says(rt *rapid.T, m *modelChat, to, form string) {
	w.written++
	text := fmt.Sprintf("%s_%s_%d_%d", m.id, to, w.r.people, w.written)
	told := m.says(fmt.Sprintf(form, text))
	refused := strings.Contains(told, "没有发出")
	w.tell("%s writes %s and is told %q", m.id, text, told)
	w.count[fmt.Sprintf("words refused %v, for nobody %v", refused, to == "")]++
	if to == "" && !refused {
		rt.Fatalf("%s has nobody selected, wrote %s and is told %q, after\n%s", m.id, text, told, strings.Join(w.story, "\n"))
	}
	for _, p := range w.people {
		if p.name == to {
			fate := wordAccepted
			if refused {
				fate = wordRefused
			}
			p.note(word{text, fate})
		}
	}
	if refused {
		w.sees(rt, own{m, to}) // he is told that it is not his any more, and what is selected now
		return
	}
	w.sees(rt, own{})
}

func (w *world) agentCommands(rt *rapid.T) {
	m := w.agent(rt)
	if m.gone {
		return // who has left writes nothing
	}
	command := rapid.SampledFrom([]string{"列表", "帮助", "上线", "上线", "下线", "忙碌"}).Draw(rt, "command")
	w.tell("%s commands %q and is told %q", m.id, command, m.says(command))
	w.sees(rt, own{})
}

// agentManages gives a command about a conversation, the selected one or another.
func (w *world) agentManages(rt *rapid.T) {
	m := w.agent(rt)
	if m.gone {
		return // who has left writes nothing
	}
	command := rapid.SampledFrom([]string{"", "历史", "结束", "转给 wang", "转给 li"}).Draw(rt, "command")
	to := ""
	if len(m.open) > 0 && (command == "" || rapid.Bool().Draw(rt, "with a label")) {
		to = rapid.SampledFrom(keys(m.open)).Draw(rt, "label")
		if command == "" {
			m.selected, m.taken = to, false
		}
		command = fmt.Sprintf("#%d %s", m.open[to], command)
	} else if command != "" {
		to = m.aims()
	}
	if command != "" {
		w.tell("%s commands %q and is told %q", m.id, command, m.says(command))
	}
	w.sees(rt, own{m, to})
}

// missed lets the time run out that an agent has for an answer.
func (w *world) missed(rt *rapid.T) {
	m := w.agent(rt)
	for _, o := range w.opens(rt, m) {
		if w.hurries(rt, m, o) {
			w.count["missed"]++
			break
		}
	}
	w.sees(rt, own{})
}

// hurries has a customer moved on now, if he waits for the agent.
func (w *world) hurries(rt *rapid.T, m *modelChat, o kefu.Open) bool {
	waits, err := w.r.server.store.Hurry(w.r.t.Context(), o.Customer, kefu.AgentID(m.id))
	if err != nil {
		rt.Fatalf("hurry: %v", err)
	}
	if waits {
		w.tell("%s is missed by %s", m.id, w.nameOf(o.Customer))
		w.moved(rt, m, o)
	}
	return waits
}

// moved waits until a conversation is in a chat no more.
func (w *world) moved(rt *rapid.T, m *modelChat, o kefu.Open) {
	eventually(w.r.t, "the conversation is moved", func() bool {
		return !slices.ContainsFunc(w.opens(rt, m), func(now kefu.Open) bool { return now.Customer == o.Customer && now.Label == o.Label })
	})
}

func (w *world) agentBlocks(rt *rapid.T) {
	m := w.agent(rt)
	if m.gone {
		w.returns(rt, m)
		return
	}
	before := w.opens(rt, m)
	w.tell("%s leaves", m.id)
	m.gone = true
	w.r.send(m.user.Unfollow())
	for _, o := range before {
		w.hurries(rt, m, o) // if he has not been already
	}
	w.sees(rt, own{})
}

func (w *world) returns(rt *rapid.T, m *modelChat) {
	m.gone = false
	w.tell("%s returns", m.id)
	w.r.clock.advance(time.Second) // two events of one second are one
	w.r.send(m.user.Follow())
	m.says("上线")
	w.sees(rt, own{})
}

func (w *world) fails(rt *rapid.T) {
	broken := rapid.SampledFrom([]simulator.APIBreak{
		{ErrCode: -1}, {ErrCode: 45047}, {Reset: true}, {Reset: true, Late: true}, {Status: 502},
	}).Draw(rt, "how")
	account := rapid.SampledFrom([]string{"shop", "board"}).Draw(rt, "account")
	broken.Path, broken.Account, broken.Calls = sendPath, w.r.accounts[account], 1
	w.ambiguous = w.ambiguous || broken.Late
	w.tell("%s will fail by %+v", account, broken)
	w.heals = append(w.heals, w.r.box.BreakAPI(broken))
}

// drain lets everybody write until nothing is held, and checks what has come of
// it all.
func (w *world) drain(rt *rapid.T) {
	for _, heal := range w.heals {
		heal()
	}
	for _, m := range w.chats {
		if m.gone {
			w.returns(rt, m)
		}
	}
	b := &bustle{r: w.r, people: w.people}
	for _, m := range w.chats {
		b.clerks = append(b.clerks, newClerk(m.chat, 0, w.people))
	}
	var owed []string
	for deadline := time.Now().Add(patience); ; {
		owed = nil
		for _, m := range w.chats {
			m.says("列表")
		}
		for _, p := range w.people {
			unsettled := b.unsettled(p)
			if len(unsettled) > 0 {
				p.write()
			}
			owed = append(append(owed, p.astray(b.clerks)...), unsettled...)
		}
		if len(owed) == 0 {
			break
		}
		if time.Now().After(deadline) {
			rt.Fatalf("answered well, and nobody has it: %q, after\n%s", owed, strings.Join(w.story, "\n"))
		}
		<-time.After(20 * time.Millisecond)
	}
	w.check(rt)
}

func (w *world) check(rt *rapid.T) {
	for _, p := range w.people {
		fates := map[string]wordFate{}
		for _, said := range p.said() {
			fates[said.text] = said.fate
		}
		heard := p.heard()
		for _, text := range heard {
			if fate, ok := fates[text]; !ok || fate == wordRefused {
				rt.Errorf("%s heard %s, which was not for him, or was not sent, after\n%s", p.name, text, strings.Join(w.story, "\n"))
			}
		}
		if !w.ambiguous && len(firsts(heard)) != len(heard) {
			rt.Errorf("%s heard something twice: %q", p.name, heard)
		}
	}
}
