package simulator

import (
	"slices"
	"strings"
)

// A chat is an agent's, with a switchboard: what has come of its messages, as
// far as it helps to understand the next.
type chat struct {
	labels map[string]*Customer // whose a label was last
	last   string               // the label that stood last
	parts  []part               // what could not be understood yet
}

// A part is a text under a label, maybe part of a longer one.
type part struct{ label, text string }

const maxParts = 64 // kept of a chat, the newest

// carry finds out which customers' messages a message to an agent's chat
// carries. Locked.
func (c *Customer) carry(r Received) {
	x := &c.account.box.index
	if same := x.pictures[string(r.Media)]; same != nil {
		c.take(same, "")
		return
	}
	switch r.Type {
	case "text":
		c.carryText(plain(r.Text))
	case "image": // there is nothing to read
	default:
		c.take(x.card(plain(r.Text)), "")
	}
}

func (c *Customer) carryText(text string) {
	heads := header.FindAllStringSubmatchIndex(text, -1)
	first := len(text)
	if len(heads) > 0 {
		first = heads[0][0]
	}
	c.carryPart(text[:first]) // it may go on where the message before stopped
	done := 0
	for i, h := range heads {
		if h[0] < done {
			continue // a customer wrote what looks like it
		}
		c.chat.last = text[h[2]:h[3]]
		next := len(text)
		if i+1 < len(heads) {
			next = heads[i+1][0]
		}
		done = h[1] + c.carryLine(text[h[1]:], next-h[1])
	}
}

// carryLine reads behind a header, and returns up to where. What looks like the
// next header stands at next.
func (c *Customer) carryLine(text string, next int) int {
	x, label := &c.account.box.index, c.chat.last
	same, end := x.find(text, places(text))
	if same == nil {
		if same = x.card(text[:next]); same == nil {
			c.carryPart(text[:next])
		}
		c.take(same, label)
		return next
	}
	c.take(same, label)
	// More texts of the same customer may follow, and hints.
	for end < next {
		end++ // the line break
		same, n := x.find(text[end:next], []int{0})
		if same = slices.DeleteFunc(slices.Clone(same), func(p *Push) bool { return p.customer != c.chat.labels[label] }); len(same) > 0 {
			c.take(same, label)
			end += n
			continue
		}
		if n = strings.IndexByte(text[end:next], '\n'); n < 0 {
			return next
		}
		end += n
	}
	return end
}

// carryPart keeps what is not a whole text, and takes the text that it completes.
func (c *Customer) carryPart(text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	label := c.chat.last
	c.chat.parts = append(c.chat.parts, part{label, text})
	c.chat.parts = c.chat.parts[max(0, len(c.chat.parts)-maxParts):]
	var texts []string
	var at []int // where they stand among the parts
	for i, p := range c.chat.parts {
		if p.label == label {
			texts, at = append(texts, p.text), append(at, i)
		}
	}
	x := &c.account.box.index
	text, used := x.split(texts)
	for _, u := range slices.Backward(used) {
		c.chat.parts = slices.Delete(c.chat.parts, at[u], at[u]+1)
	}
	if len(used) > 0 {
		c.take(x.texts[text], label)
	}
}

// take notes that the chat has one of several pushes that say the same.
func (c *Customer) take(same []*Push, label string) {
	p := c.pick(same, c.chat.labels[label])
	if p == nil {
		return
	}
	p.chats = append(p.chats, c)
	if label != "" {
		if c.chat.labels == nil {
			c.chat.labels = make(map[string]*Customer)
		}
		c.chat.labels[label] = p.customer
	}
	e := p.told()
	e.Kind, e.Agent = Relayed, c.chatName()
	c.account.box.emit(e)
}

// pick chooses the push that a message is taken to carry, if several say the
// same: one that nobody has, of the customer known by the label if there is one,
// the oldest first. So as many have come as were delivered, but for repeats that
// stand in for a message that never came. It is nil if the chat has been told of
// all of them, or of one of the known customer's.
func (c *Customer) pick(same []*Push, known *Customer) *Push {
	var best *Push
	most, repeat := 0, false
	for _, p := range same {
		if slices.Contains(p.chats, c) {
			repeat = repeat || known == nil || p.customer == known
			continue
		}
		if n := p.need(known); n > most {
			best, most = p, n
		}
	}
	if repeat && most < needed {
		return nil
	}
	return best
}

// needed is the need of a push that nobody has.
const needed = 3

// need is how much a push needs to be had by a chat.
func (p *Push) need(known *Customer) int {
	n := 1 // another chat has it, or it is settled otherwise
	if p.customer == known {
		n++
	}
	if len(p.chats) == 0 && (!p.settled || p.fate == FateLost) {
		n += needed - 1
	}
	return n
}
