package main

import (
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// A text that is too long for one message comes in several, in both directions,
// with nothing between and nothing cut in two.
func TestRelayCarriesLongTexts(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.somebody("shop")
		question := strings.Repeat("一二三四五六七八九十", 150) + "。" // 4503 bytes
		r.writes(c, question)
		head := line(1, "售前", "")
		r.await("all of it comes", func() bool { return strings.HasSuffix(strings.Join(wang.messages(), ""), "。") })
		if got := strings.Join(wang.messages(), ""); got != head+question {
			t.Errorf("Wang has %q", got)
		}
		reply := strings.Repeat("甲乙丙丁戊己庚辛壬癸", 150) + "。"
		wang.asks(reply, "还可回复 2 条")
		r.await("all of it comes", func() bool {
			return strings.HasSuffix(strings.Join(from(c, simulator.FromAPI), ""), "。")
		})
		if got := strings.Join(from(c, simulator.FromAPI), ""); got != reply {
			t.Errorf("the customer has %q", got)
		}
		r.unrefused()
		r.well()
	})
}

// Signs that JSON, XML or our own lines have a meaning for arrive as they are.
func TestRelayCarriesTextsAsTheyAre(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.arrives("cs1", "开始")
		for _, text := range []string{
			`<a href="x">&amp;</a> ]]> \u4f60 \n "引号" {{.Agent}} %s`, "😀👨‍👩‍👧 e\u0301", "第一行\n第二行\n\n第四行", "  空 格  ", "转给你看", "#", "##1", "我下线了", "历史悠久",
		} {
			r.writes(c, text)
			wang.says(text)
			want := strings.TrimSpace(text)
			r.await("the customer reads "+text, func() bool {
				for _, got := range from(c, simulator.FromAPI) {
					if strings.TrimSpace(got) == want {
						return true
					}
				}
				return false
			})
			r.await("Wang reads it", func() bool {
				return strings.Contains(strings.Join(wang.messages(), "\n"), line(1, "售前", text))
			})
		}
		r.unrefused()
		r.well()
	})
}

// The customer sees that somebody is at it when his agent opens his conversation.
func TestRelayShowsThatTheAgentIsTyping(t *testing.T) {
	t.Parallel()
	r := relaying(t, redistest.Start(t), nil)
	wang := r.bound("wang")[0]
	c, other := r.arrives("cs1", "你好"), r.arrives("cs1", "您好")
	wang.reads(line(2, "售前", "您好"))
	r.clock.advance(16 * time.Second) // what was shown before is over
	before := c.Typed()
	wang.asks("#1", "现在是会话 #1")
	r.await("typing is shown", func() bool { return c.Typed() > before })
	wang.answers("在的")
	r.hears(c, "在的")
	if other.Typed() > 1 {
		t.Errorf("the other customer was shown it %d times", other.Typed())
	}
	r.well()
}
