package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"kefud/internal/simulator"
)

// relayMessages is how many messages each customer of a long run writes, and
// gets. An agent is sent something every 300 ms at most, so 200 take a minute.
var relayMessages = flag.Int("relay-messages", 30, "messages each way per customer, of long runs of the relay")

// playConfig is a mini-program whose agents answer from their own chats. At the
// entries one and two nobody stands in for their agent, at both somebody does.
const playConfig = rigHead + `
agents:
  - {id: wang, name: 王小姐, capacity: 0, relay: {app: board}}
  - {id: li, name: 李先生, capacity: 0, relay: {app: board}}
apps:
  - name: shop
    app_id: wx00000000000000a1
    app_secret: secret-of-shop
    original_id: gh_shop
    token: token-of-shop
    allowance: {after_message: ${ALLOWED:-5}, after_message_window: 48h}
    notices: {greeting: "", waiting: "", reassigned: "", closed: ""}
    default_entry: one
    entries:
      - {tag: one, name: 售前, steps: [{agent: wang}]}
      - {tag: two, name: 售后, steps: [{agent: li}]}
      - {tag: both, name: 咨询, steps: [{agent: wang}, {agent: li}], answer_timeout: 1h}
      - {tag: quick, name: 快, steps: [{agent: li}], answer_timeout: 200ms}
  - name: board
    kind: official_account
    role: switchboard
    app_id: wx00000000000000b1
    app_secret: secret-of-board
    original_id: gh_board
    token: token-of-board
    encoding_aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
    encryption: safe
    allowance: {after_message: ${ALLOWED:-5}, after_message_window: 48h}
`

// A patron is a customer of a long run. What he writes is "c03-0007": who, and
// which of his messages.
type patron struct {
	r    *rig
	user *simulator.Customer
	name string

	mu      sync.Mutex
	written []*simulator.Push
	results []simulator.Result
	had     int    // messages when he last wrote
	words   []word // said to him
}

// A word is one thing that an agent wrote to a customer: "wang_c03_0007".
type word struct {
	text string
	fate wordFate
}

// A wordFate is what the agent was told about his words.
type wordFate uint8

const (
	wordAccepted wordFate = iota // nothing, or that they are kept
	wordRefused                  // that they were not sent
	wordUnknown                  // that they may not have been sent; or the answer was lost
)

// patrons makes customers who come through an entry.
func (r *rig) patrons(n int, entry string) []*patron {
	r.t.Helper()
	var all []*patron
	for range n {
		c := r.somebody("shop")
		r.tap(c, entry)
		all = append(all, &patron{r: r, user: c, name: fmt.Sprintf("c%02d", r.people)})
	}
	return all
}

// write says the next thing and gives what came of it.
func (p *patron) write() simulator.Result {
	p.r.t.Helper()
	push := p.user.Text(fmt.Sprintf("%s-%04d", p.name, len(p.written)+1))
	had := len(p.heard())
	result, err := push.Send(p.r.t.Context())
	must(p.r.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.had, p.written, p.results = had, append(p.written, push), append(p.results, result)
	return result
}

// relayed writes n messages, each of which must come to an agent's chat.
func (p *patron) relayed(n int) {
	p.r.t.Helper()
	for range n {
		result := p.write()
		if got := answer(p.r.t, result); got.Kind != simulator.AnswerSuccess {
			p.r.t.Errorf("%s: message %d was answered with %s, want it relayed; %+v", p.name, len(p.written), got, p.r.decision(p.user))
		}
	}
}

// note keeps what an agent said to him.
func (p *patron) note(w word) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.words = append(p.words, w)
}

func (p *patron) said() []word {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.words)
}

// heard lists what agents' words came to him.
func (p *patron) heard() []string { return from(p.user, simulator.FromAPI) }

// complete reports whether all words that were accepted have come.
func (p *patron) complete() bool {
	heard := map[string]bool{}
	for _, text := range p.heard() {
		heard[text] = true
	}
	return !slices.ContainsFunc(p.said(), func(w word) bool { return w.fate == wordAccepted && !heard[w.text] })
}

// full reports whether he has all that WeChat allows before he writes again.
func (p *patron) full() bool {
	const allowed = 5
	p.mu.Lock()
	had := p.had
	p.mu.Unlock()
	return len(p.heard()) >= had+allowed
}

// exact fails the test unless the customer got what was said to him, in order,
// each once, and nothing else.
func (p *patron) exact() {
	p.r.t.Helper()
	var want []string
	for _, w := range p.said() {
		if w.fate != wordAccepted {
			p.r.t.Errorf("%s: %s was not accepted", p.name, w.text)
		}
		want = append(want, w.text)
	}
	if got := p.heard(); !slices.Equal(got, want) {
		p.r.t.Errorf("%s: heard\n%q\nwant\n%q", p.name, got, want)
	}
}

// owed lists the messages that were answered with success and are in nobody's chat.
func (r *rig) owed(people []*patron) []string {
	var owed []string
	for _, p := range people {
		owed = append(owed, p.astray(nil)...)
	}
	return owed
}

// A clerk is an agent of a long run. He chooses by chance, but seeded, to whom
// he writes, and how.
type clerk struct {
	*chat
	rng *rand.Rand

	patrons  map[string]*patron // whose messages he may get
	labels   map[string]int     // of those whom he has read, the newest label
	read     map[string]int     // how many messages of theirs
	answered map[string]int
	selected string // whom he has selected; "" = he does not know

	seen    int  // of his inbox
	more    bool // he was told that more waits
	marked  int  // lines marked as perhaps a repeat
	results []simulator.Result
	broken  []string
}

func newClerk(c *chat, seed uint64, all ...[]*patron) *clerk {
	k := &clerk{
		chat: c, rng: rand.New(rand.NewPCG(seed, 1)), patrons: map[string]*patron{},
		labels: map[string]int{}, read: map[string]int{}, answered: map[string]int{},
	}
	for _, patrons := range all {
		for _, p := range patrons {
			k.patrons[p.name] = p
		}
	}
	return k
}

const (
	doubtText = "（可能重复）"
	moreWaits = "还有新消息，回复任意内容查看"
)

var (
	lineHead  = regexp.MustCompile(`^#(\d+) (\S+) · `)
	lineToken = regexp.MustCompile(`c\d{2,7}-\d{4,}`)
)

// look reads what has come since he last looked, and gives the last thing that
// he was told at once, "" for nothing.
func (k *clerk) look() string {
	told := ""
	inbox := k.user.Inbox()
	for _, m := range inbox[k.seen:] {
		switch {
		case m.From == simulator.FromReply:
			told = m.Text
		case m.Text == moreWaits:
			k.more = true
		case m.From == simulator.FromAPI:
			k.lookAt(m.Text)
		}
	}
	k.seen = len(inbox)
	return told
}

func (k *clerk) lookAt(message string) {
	for l := range strings.Lines(message) {
		k.marked += strings.Count(l, doubtText)
		token := lineToken.FindString(l)
		if token == "" {
			continue
		}
		name, _, _ := strings.Cut(token, "-")
		k.read[name]++
		head := lineHead.FindStringSubmatch(l)
		if head == nil {
			continue // of what was said before a conversation came to him
		}
		label := 0
		_, _ = fmt.Sscan(head[1], &label) // digits
		if k.patrons[name] == nil {
			k.broken = append(k.broken, "a line of somebody else's customer: "+l)
			continue
		}
		for other, has := range k.labels {
			if other != name && has == label {
				k.broken = append(k.broken, fmt.Sprintf("label %d was %s's and is %s's", label, other, name))
			}
		}
		k.labels[name] = label
	}
}

// say writes the next words to a customer: bare if he is the selected one and
// chance wills it, else with the label. It gives what the agent is told.
func (k *clerk) say(p *patron) (wordFate, string) {
	k.r.t.Helper()
	k.look()
	k.answered[p.name]++
	text := fmt.Sprintf("%s_%s_%04d", k.id, p.name, k.answered[p.name])
	written := text
	if k.selected != p.name || k.rng.IntN(2) == 0 {
		form := []string{"#%d %s", "＃%d：%s", " #%d  %s", "#%d，%s"}[k.rng.IntN(4)]
		written = fmt.Sprintf(form, k.labels[p.name], text)
	}
	k.selected = p.name
	result, err := k.user.Text(written).Send(k.r.t.Context())
	must(k.r.t, err)
	k.results = append(k.results, result)
	told := k.look()
	fate := wordAccepted
	switch {
	case len(result.Attempts) == 0 || !result.Attempts[len(result.Attempts)-1].Heard, strings.Contains(told, "可能没有发出"):
		fate = wordUnknown
	case strings.Contains(told, "没有发出"), strings.Contains(told, "已不在您这里"):
		fate = wordRefused
		if len(result.Attempts) > 1 {
			fate = wordUnknown // the server died when it had taken them, and the conversation is another's since
		}
	}
	if fate != wordAccepted {
		k.selected = ""
	}
	p.note(word{text, fate})
	return fate, told
}

// ready lists to whom he may write: all whom he has read something of, or only
// those who wait for an answer.
func (k *clerk) ready(n int, waiting bool) []*patron {
	var all []*patron
	for _, name := range keys(k.labels) {
		if k.answered[name] < n && (!waiting || k.answered[name] < k.read[name]) {
			all = append(all, k.patrons[name])
		}
	}
	return all
}

// serve writes n answers to each of his customers, in the order that chance
// wills; if he waits, an answer only to what he has read.
func (k *clerk) serve(n int, waits bool) {
	k.r.t.Helper()
	left := func() int {
		sum := 0
		for name := range k.patrons {
			sum += max(0, n-k.answered[name])
		}
		return sum
	}
	for left() > 0 {
		k.look()
		if k.more {
			k.more = false
			k.says("列表")
			continue
		}
		ready := k.ready(n, waits)
		if len(ready) == 0 {
			k.r.await(k.id+" has something to answer", func() bool { return len(k.user.Inbox()) > k.seen })
			continue
		}
		p := ready[k.rng.IntN(len(ready))]
		if fate, told := k.say(p); fate != wordAccepted {
			k.r.t.Errorf("%s wrote to %s and was told %q", k.id, p.name, told)
		}
	}
}

// exact fails the test unless all that his customers wrote came to him, in
// order, each once, under labels that stay the same.
func (k *clerk) exact() {
	k.r.t.Helper()
	k.look()
	for _, b := range k.broken {
		k.r.t.Errorf("%s: %s", k.id, b)
	}
	got := tokens(k.chat)
	for _, name := range keys(k.patrons) {
		var want []string
		for i := range k.patrons[name].written {
			want = append(want, fmt.Sprintf("%s-%04d", name, i+1))
		}
		if !slices.Equal(got[name], want) {
			k.r.t.Errorf("%s has of %s\n%q\nwant\n%q", k.id, name, got[name], want)
		}
	}
}

// tokens lists the customers' messages that a chat has, by customer.
func tokens(c *chat) map[string][]string {
	all := map[string][]string{}
	for _, text := range from(c.user, simulator.FromAPI) {
		for _, token := range lineToken.FindAllString(text, -1) {
			name, _, _ := strings.Cut(token, "-")
			all[name] = append(all[name], token)
		}
	}
	return all
}

// fresh is tokens without what was said before a conversation came to the agent,
// which he may have had before, and which is older than what he has had since.
func fresh(c *chat) map[string][]string {
	all := map[string][]string{}
	for _, l := range c.lines() {
		if token := lineToken.FindString(l); token != "" && lineHead.MatchString(l) {
			name, _, _ := strings.Cut(token, "-")
			all[name] = append(all[name], token)
		}
	}
	return all
}

// firsts drops repeats.
func firsts(all []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

// together runs all at once and waits for their end.
func together(all ...func()) {
	var runners sync.WaitGroup
	for _, f := range all {
		runners.Go(f)
	}
	runners.Wait()
}

// boundAll is bound for a fleet: it returns once every process knows.
func (f *fleet) boundAll(ids ...string) []*chat {
	f.t.Helper()
	var chats []*chat
	for _, id := range ids {
		c := f.chatOf(id)
		if reply := c.says(f.invite(id)); !strings.Contains(reply, "绑定成功") {
			f.t.Fatalf("%s sent his code and is told %q", id, reply)
		}
		chats = append(chats, c)
	}
	f.present(len(ids), patience)
	return chats
}

// present waits until every process knows of so many agents that they are there.
func (f *fleet) present(agents int, within time.Duration) {
	f.t.Helper()
	began := time.Now()
	for _, url := range f.urls {
		eventually(f.t, fmt.Sprintf("%s knows that %d agents are there", url, agents), func() bool {
			return metric(f.t, url, "kefud_presence_online") == float64(agents)
		})
	}
	if took := time.Since(began); took > within {
		f.t.Errorf("all know that %d agents are there after %s, want within %s", agents, took, within)
	}
}
