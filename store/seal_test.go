package store_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
	"kefud/store"
)

// unreadable is how tests show words that no key opens.
const unreadable = "[unreadable]"

func shown(w kefu.Words) string {
	if w.Unreadable {
		return w.Text + unreadable
	}
	return w.Text
}

// A keyring gives keys to a Store; they may change.
type keyring struct{ present, previous []byte }

func (k *keyring) use(o *store.Options) {
	o.Keys = func(app kefu.AppID) ([]byte, []byte) {
		if app == "plain" {
			return nil, nil
		}
		return k.present, k.previous
	}
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func testSealRotation(t *testing.T, b backend) {
	k := &keyring{}
	p := newPerson(t, b.open(t, k.use), "u1")
	p.chatting("wang") // before there was a key
	said := func(want string) {
		t.Helper()
		same(t, "sayings", p.said(), want)
	}
	said("hello")
	k.present = key(1)
	said("hello")
	p.push(told("first"))
	said("hello first")
	k.present, k.previous = key(2), key(1)
	p.push(told("second"))
	said("hello first second")
	k.present, k.previous = key(3), key(2)
	said("hello " + unreadable + " second")
	k.present, k.previous = nil, key(2) // no longer sealed
	p.push(told("third"))
	said("hello " + unreadable + " second third")
	k.previous = nil
	said("hello " + unreadable + " " + unreadable + " third")
	k.present = key(1)[:31]
	p.count++
	if _, err := p.s.Say(t.Context(), p.utterance("wang", "x")); err == nil {
		t.Error("a key of 31 bytes is used")
	}
}

// What is sealed of one customer cannot be shown as another's, nor what was
// changed.
func testSealBelongs(t *testing.T, b backend) {
	k := &keyring{present: key(1)}
	s := b.open(t, k.use)
	p, q := newPerson(t, s, "u1"), newPerson(t, s, "u2")
	p.chatting("wang")
	q.chatting("wang")
	move := func(change func(string) string) {
		t.Helper()
		all, err := s.Client().XRange(t.Context(), s.SaidKey(p.id), "-", "+").Result()
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		values := all[0].Values
		values["w"] = change(values["w"].(string)) //nolint:forcetypeassert // it would show
		if err := s.Client().Del(t.Context(), s.SaidKey(q.id)).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: s.SaidKey(q.id), Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(string) string{
		"as it is":     func(w string) string { return w },
		"cut":          func(w string) string { return w[:10] },
		"without text": func(string) string { return "1" },
		"no base64":    func(w string) string { return w + "!" },
		"another form": func(w string) string { return "2" + w[1:] },
		"not sealed":   func(string) string { return "0{" },
		"bit flipped":  func(w string) string { return w[:len(w)-4] + strings.Map(flip, w[len(w)-4:]) },
	} {
		move(change)
		if got := q.said(); got != unreadable {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func flip(r rune) rune {
	if r == 'A' {
		return 'B'
	}
	return 'A'
}

// Whatever people say, nothing of it is readable in Redis.
func testSealEverywhere(t *testing.T, b backend) {
	const secret = "geheimnis"
	k := &keyring{present: key(1)}
	c := newChat(t, b, k.use)
	p := newPerson(t, c.s, "u1")
	p.settle(p.push(told(secret)).Conversation, "wang", relayed(0), func(st *kefu.Settlement) { st.Words, st.Keep = words(secret), keep })
	p.push(told(secret))
	p.answers("wang", words(secret))
	p.answers("wang", kefu.Words{Text: secret, Media: kefu.Media{App: "switchboard", ID: secret}})
	p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
	c.post("u1", secret)
	c.finish(c.draw(), kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
	c.postWith(c.posting("u1", kefu.Line{Words: picture(secret)}, note(secret)))
	c.hear(target)
	c.reply("h1", secret, 1, "u1")
	same(t, "keys that hold the text", leftOf(t, c.s, secret), []string(nil))

	// All of it comes out again.
	c.later(joinFor)
	same(t, "line", texts(c.draw()), secret)
	same(t, "saying", p.said(), strings.TrimSpace(strings.Repeat(secret+" ", 4)))
	same(t, "list", c.opens()[0].Line.Text, secret)
	if got, _, err := c.s.HeardReply(t.Context(), c.id, "h1"); got != secret || err != nil {
		t.Errorf("reply %q, %v", got, err)
	}
	buried, err := c.s.Buried(t.Context(), 10)
	if err != nil || len(buried) != 2 {
		t.Fatalf("buried %+v, %v", buried, err)
	}
	for _, g := range buried {
		for _, l := range g.Delivery.Lines {
			same(t, "buried line", l.Words.Text, secret)
		}
		if g.Delivery.Lines == nil {
			same(t, "buried answer", g.Delivery.Words.Text, secret)
		}
	}
	// Another app has no key.
	plain := newPerson(t, c.s, "u2")
	plain.id.App = "plain"
	plain.chatting("wang")
	same(t, "keys that hold the text", len(leftOf(t, c.s, "hello")), 1)
	// The key is lost: it shows that there was something.
	k.present = key(2)
	c.later(2 * time.Minute)
	l := c.draw()
	same(t, "line", texts(l), unreadable)
	lane := p.one()
	same(t, "delivery", shown(lane.Delivery.Words), unreadable)
	same(t, "list", shown(c.opens()[0].Line), unreadable)
	// What is written down again stays what it is, whatever key there is then.
	p.finish(lane, kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unreadable"})
	if buried, err = c.s.Buried(t.Context(), 1); err != nil || len(buried) != 1 {
		t.Fatalf("buried %+v, %v", buried, err)
	}
	same(t, "buried", shown(buried[0].Delivery.Words), unreadable)
}
