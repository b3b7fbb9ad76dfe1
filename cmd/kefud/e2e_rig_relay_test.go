package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"kefud/internal/simulator"
	"kefud/kefu"
)

// relayConfig is a mini-program whose agents answer from their own WeChat chats
// with the company's official account.
const relayConfig = rigHead + `
agents:
  - {id: wang, name: 王小姐, capacity: 20, relay: {app: board}}
  - {id: li, name: 李先生, capacity: 20, relay: {app: board}}
  - {id: zhao, name: 赵小姐, capacity: 20, relay: {app: board}}
groups:
  - {name: presale, agents: [wang, li]}
apps:
  - name: shop
    app_id: wx00000000000000a1
    app_secret: secret-of-shop
    original_id: gh_shop
    token: token-of-shop
    conversation_idle: ${IDLE:-30m}
    notices: {greeting: "greeting {{.Agent}} of {{.Entry}}", waiting: "waiting", reassigned: "reassigned {{.Agent}}", closed: "closed"}
    default_entry: cs1
    entries:
      - {tag: cs1, name: 售前, steps: [{agent: wang}, {agent: li}], answer_timeout: "${TIMEOUT:-0s}"}
      - {tag: cs2, name: 售后, steps: [{agent: li}], answer_timeout: "${TIMEOUT:-0s}"}
      - {tag: cs3, name: 投诉, steps: [{agent: zhao}], answer_timeout: "${TIMEOUT:-0s}"}
    transcript: {keep: 30d, key: "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
  - name: board
    kind: official_account
    role: switchboard
    app_id: wx00000000000000b1
    app_secret: secret-of-board
    original_id: gh_board
    token: token-of-board
    encoding_aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
    encryption: safe
    allowance: {after_message: 5, after_message_window: 48h}
`

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

// lines lists what was sent to him, joined messages taken apart.
func (c *chat) lines() []string {
	var lines []string
	for _, text := range from(c.user, simulator.FromAPI) {
		lines = append(lines, strings.Split(text, "\n")...)
	}
	return lines
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
