package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// relayConfig is a mini-program whose agents answer from their own WeChat chats
// with the company's official account. At cs4 an agent may take as long as he
// likes, whatever TIMEOUT is.
const relayConfig = rigHead + `
agents:
  - {id: wang, name: 王小姐, capacity: ${CAPACITY:-20}, relay: {app: board, openid: "${WANG_OPENID:-}"}}
  - {id: li, name: 李先生, capacity: ${CAPACITY:-20}, relay: {app: board}}
  - {id: zhao, name: 赵小姐, capacity: ${CAPACITY:-20}, relay: {app: board}}
groups:
  - {name: presale, agents: [wang, li]}
apps:
  - name: shop
    app_id: wx00000000000000a1
    app_secret: secret-of-shop
    original_id: gh_shop
    token: token-of-shop
    conversation_idle: ${IDLE:-30m}
    allowance: {after_message: 5, after_message_window: "${WINDOW:-48h}"}
    notices: {greeting: "greeting {{.Agent}} of {{.Entry}}", waiting: "waiting", reassigned: "reassigned {{.Agent}}", closed: "closed"}
    default_entry: cs1
    entries:
      - {tag: cs1, name: 售前, steps: [{agent: wang}, {agent: li}], answer_timeout: "${TIMEOUT:-0s}"}
      - {tag: cs2, name: 售后, steps: [{agent: li}], answer_timeout: "${TIMEOUT:-0s}"}
      - {tag: cs3, name: 投诉, steps: [{agent: zhao}], answer_timeout: "${TIMEOUT:-0s}"}
      - {tag: cs4, name: 咨询, steps: [{group: presale}], answer_timeout: 0s}
    transcript: {keep: 30d, key: "${TRANSCRIPT_KEY:-MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}"}
  - name: board
    kind: official_account
    role: switchboard
    app_id: wx00000000000000b1
    app_secret: secret-of-board
    original_id: gh_board
    token: token-of-board
    encoding_aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
    encryption: ${BOARD_ENCRYPTION:-safe}
    allowance: {after_message: 5, after_message_window: "${BOARD_WINDOW:-48h}"}
`

// relayOptions are a rig's for relayConfig. What is relayed is to be in time on a
// machine that others use as well; how long it may take is no concern of these tests.
func relayOptions(redis *redistest.Server, env map[string]string) rigOptions {
	o := rigOptions{config: relayConfig, redis: redis, env: map[string]string{"BUDGET": "4s", "API_TIMEOUT": "4s"}}
	maps.Copy(o.env, env)
	return o
}

// onRedis runs a test on a real redis-server alone: the race detector makes the
// embedded store slow, and these tests are many.
func onRedis(t *testing.T, test func(t *testing.T, redis *redistest.Server)) {
	t.Helper()
	test(t, redistest.Start(t))
}

func relaying(t *testing.T, redis *redistest.Server, env map[string]string) *rig {
	t.Helper()
	return start(t, relayOptions(redis, env))
}

// A chat is an agent's own WeChat chat with the switchboard, as he has it.
type chat struct {
	r    *rig
	id   string
	user *simulator.Customer
}

// chatOf gives an agent's chat, not bound to him yet.
func (r *rig) chatOf(id string) *chat {
	c := &chat{r: r, id: id, user: r.box.Customer(r.accounts["board"], "oAgentChatOf"+strings.Repeat("x", 10)+id)}
	c.user.SetName(id)
	return c
}

// bound binds agents' chats by codes, and gives them.
func (r *rig) bound(ids ...string) []*chat {
	r.t.Helper()
	var chats []*chat
	for _, id := range ids {
		c := r.chatOf(id)
		if reply := c.says(r.invite(id)); !strings.Contains(reply, "绑定成功") {
			r.t.Fatalf("%s sent his code and is told %q", id, reply)
		}
		chats = append(chats, c)
		r.knows("shop", id, kefu.PresenceOnline)
	}
	return chats
}

// invite asks the server for an agent's code.
func (r *rig) invite(id string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/api/v1/agents/"+id+"/invitation", http.NoBody)
	must(r.t, err)
	req.Header.Set("Authorization", "Bearer "+adminToken)
	code, body := do(r.t, req)
	var invitation struct{ Code string }
	if code != http.StatusCreated || json.Unmarshal([]byte(body), &invitation) != nil {
		r.t.Fatalf("invitation of %s: %d %s", id, code, body)
	}
	return invitation.Code
}

// says is what the agent writes; it gives what he is told at once.
func (c *chat) says(text string) string {
	c.r.t.Helper()
	return c.push(c.user.Text(text))
}

func (c *chat) push(p *simulator.Push) string {
	c.r.t.Helper()
	before := len(c.told())
	c.r.send(p)
	told := c.told()
	if len(told) == before {
		return ""
	}
	return told[len(told)-1]
}

// told lists the passive replies he got.
func (c *chat) told() []string { return from(c.user, simulator.FromReply) }

// asks writes something that he is told something about at once, with all of
// the parts in it.
func (c *chat) asks(text string, parts ...string) string {
	c.r.t.Helper()
	told := c.says(text)
	for _, part := range parts {
		if told == "" || !strings.Contains(told, part) {
			c.r.t.Errorf("%s writes %q and is told %q, without %q", c.id, text, told, part)
		}
	}
	return told
}

// answers writes something that he is told nothing about.
func (c *chat) answers(text string) {
	c.r.t.Helper()
	if told := c.says(text); told != "" {
		c.r.t.Errorf("%s writes %q and is told %q", c.id, text, told)
	}
}

// messages lists what was sent to him.
func (c *chat) messages() []string { return from(c.user, simulator.FromAPI) }

// lines is messages, joined ones taken apart.
func (c *chat) lines() []string {
	var lines []string
	for _, text := range c.messages() {
		lines = append(lines, strings.Split(text, "\n")...)
	}
	return lines
}

// has counts how often a line came to the agent.
func (c *chat) has(line string) int {
	n := 0
	for _, l := range c.lines() {
		if l == line {
			n++
		}
	}
	return n
}

// pictures waits until n pictures came to somebody, and gives them.
func (r *rig) pictures(c *simulator.Customer, n int) []string {
	r.t.Helper()
	var all []string
	r.await("there are "+itoa(n)+" pictures", func() bool {
		all = nil
		for _, m := range c.Inbox() {
			if m.Type == "image" {
				all = append(all, string(m.Media))
			}
		}
		return len(all) >= n
	})
	return all
}

func from(c *simulator.Customer, source simulator.Source) []string {
	var texts []string
	for _, m := range c.Inbox() {
		if m.From == source {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// reads waits until a line came to the agent.
func (c *chat) reads(line string) {
	c.r.t.Helper()
	c.r.await(c.id+" reads "+line, func() bool { return slices.Contains(c.lines(), line) })
}

// hears waits until the customer has read a text from the API.
func (r *rig) hears(c *simulator.Customer, text string) {
	r.t.Helper()
	r.await("the customer reads "+text, func() bool { return slices.Contains(from(c, simulator.FromAPI), text) })
}

// unheard fails the test if the customer has read a text from the API.
func (r *rig) unheard(c *simulator.Customer, text string) {
	r.t.Helper()
	if slices.Contains(from(c, simulator.FromAPI), text) {
		r.t.Errorf("the customer has read %q, which was not for him", text)
	}
}

// arrives makes a customer who comes through a button and is greeted, and whose
// first words are relayed. (While a greeting is on its way, WeChat and the server
// may disagree on whether his words came before it, and so by one message.)
func (r *rig) arrives(tag, text string) *simulator.Customer {
	r.t.Helper()
	c := r.somebody("shop")
	r.tap(c, tag)
	r.reads(c, 1)
	r.writes(c, text)
	return c
}

// unrefused fails the test if WeChat refused to take a message for somebody.
func (r *rig) unrefused() {
	r.t.Helper()
	for code, n := range r.box.Calls(sendPath) {
		if code != 0 {
			r.t.Errorf("%d messages were refused with %d", n, code)
		}
	}
}

// command runs kefud as a process of its own on the rig's Redis, and gives its
// exit code and what it printed.
func (r *rig) command(o rigOptions, args ...string) (int, string) {
	r.t.Helper()
	var env []string
	for name, value := range o.variables(r.config.WeChat.APIBase) {
		env = append(env, name+"="+value)
	}
	p := launch(r.t, env, append(args, "--config", file(r.t, "config.yaml", o.config))...)
	code := p.exit(patience)
	return code, p.log.String()
}

// writes says something that must be relayed.
func (r *rig) writes(c *simulator.Customer, text string) simulator.Result {
	r.t.Helper()
	result := r.say(c, text)
	if got := answer(r.t, result); got.Kind != simulator.AnswerSuccess {
		r.t.Errorf("%q was answered with %s, want it relayed; %+v", text, got, r.decision(c))
	}
	return result
}

func line(label int, entry, text string) string {
	return fmt.Sprintf("#%d %s · %s", label, entry, text)
}

// image makes the push of a picture, and gives the picture's bytes.
func (r *rig) image(c *simulator.Customer) (string, *simulator.Push) {
	r.t.Helper()
	id := c.Account().Media()
	picture, ok := c.Account().MediaBytes(id)
	if !ok {
		r.t.Fatal("a picture that was just made is gone")
	}
	return string(picture), c.Raw(simulator.Fields{
		{Name: "MsgType", Value: "image"}, {Name: "PicUrl", Value: "https://mmbiz.qpic.cn/mmbiz_jpg/" + id + "/0"}, {Name: "MediaId", Value: id},
	})
}
