package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"kefud/internal/redistest"
	"kefud/kefu"
)

const moreText = "还有新消息，回复任意内容查看"

// said lists the customers' words in what an agent has been sent, in order.
func (c *chat) said() []string {
	var said []string
	for _, l := range c.lines() {
		if _, text, ok := strings.Cut(l, " · "); ok {
			said = append(said, text)
		}
	}
	return said
}

// burst lets an agent's customers write, without a word from him, and gives what
// they wrote. He must have been sent no more than WeChat allows, besides what he
// was sent before.
func burst(t *testing.T, wang *chat, before int, write func(texts []string)) []string {
	t.Helper()
	const messages = 20
	texts := make([]string, messages)
	for i := range texts {
		texts[i] = fmt.Sprintf("第%02d条消息", i+1)
	}
	write(texts)
	if sent := wang.messages()[before:]; len(sent) > 5 {
		t.Errorf("%d messages to an agent who does not write: %q", len(sent), sent)
	}
	return texts
}

// One customer's messages one after the other: the first come as they are, the
// fifth says that there are more, and the rest comes in one message when the
// agent writes.
//
//nolint:paralleltest // time is short in it, and it shares the machine with no other test
func TestRelayHoldsABurstForTheAgent(t *testing.T) {
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.somebody("shop")
		texts := burst(t, wang, 0, func(texts []string) {
			for _, text := range texts {
				r.writes(c, text)
			}
		})
		if sent := wang.messages(); len(sent) != 5 || sent[4] != moreText {
			t.Errorf("he was sent %q, want 4 messages and %q", sent, moreText)
		}
		if got := wang.said(); !slices.Equal(got, texts[:len(got)]) {
			t.Errorf("he has %q", got)
		}
		wang.answers("好的") // to the only customer there is
		r.await("all messages come", func() bool { return len(wang.said()) >= len(texts) })
		if got := wang.said(); !slices.Equal(got, texts) {
			t.Errorf("he has %q, want %q", got, texts)
		}
		if sent := wang.messages(); len(sent) > 7 {
			t.Errorf("what was held came in %d messages", len(sent)-5)
		}
		r.hears(c, "好的")
		r.writes(c, "谢谢")
		wang.reads(line(1, "售前", "谢谢"))
		r.unrefused()
		r.well()
	})
}

// At the same time, of one customer: joined, each exactly once.
//
//nolint:paralleltest // as above
func TestRelayJoinsABurstAtOnce(t *testing.T) {
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.arrives("cs1", "我有很多问题")
		wang.reads(line(1, "售前", "我有很多问题"))
		wang.answers("请讲")
		before := len(wang.messages())
		texts := burst(t, wang, before, func(texts []string) {
			var writers sync.WaitGroup
			for _, text := range texts {
				writers.Go(func() { r.writes(c, text) })
			}
			writers.Wait()
		})
		wang.asks("列表", "进行中的会话 1 个")
		wang.hasAll(texts)
		r.unrefused()
		r.well()
	})
}

// The same of twenty customers, whom nobody has seen before.
//
//nolint:paralleltest // as above
func TestRelayJoinsABurstOfManyCustomers(t *testing.T) {
	r := relaying(t, redistest.Start(t), nil)
	wang := r.bound("wang")[0]
	texts := burst(t, wang, 0, func(texts []string) {
		var writers sync.WaitGroup
		for _, text := range texts {
			c := r.somebody("shop")
			writers.Go(func() { r.writes(c, text) })
		}
		writers.Wait()
	})
	wang.asks("列表", "进行中的会话 20 个")
	wang.hasAll(texts)
	r.unrefused()
	r.well()
}

// hasAll waits until the agent has all texts, each of them once.
func (c *chat) hasAll(texts []string) {
	c.r.t.Helper()
	c.r.await("all messages come", func() bool { return len(with(c.said(), texts)) >= len(texts) })
	got := with(c.said(), texts)
	slices.Sort(got)
	if !slices.Equal(got, texts) {
		c.r.t.Errorf("he has %q, want each of %q once", got, texts)
	}
}

// What is held outlives its conversation: it comes to the agent even if the
// customer has given up, unless it was given to somebody else.
func TestRelayHoldsWhatNobodyElseTakes(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, map[string]string{"IDLE": "1s"})
		wang := r.bound("wang")[0]
		c := r.somebody("shop")
		for i := range 6 {
			r.writes(c, fmt.Sprintf("第%02d条消息", i+1))
		}
		r.idle(c)
		wang.asks("在吗") // whatever he is told
		r.await("the rest comes", func() bool { return slices.Contains(wang.said(), "第06条消息") })
		if d := r.decision(c); d.Reason != kefu.ReasonKept {
			t.Errorf("decided by %s", d.Reason)
		}
		wang.answers("#1 您好，还在吗")
		r.hears(c, "您好，还在吗") // an old conversation can be answered while WeChat takes it
		r.well()
	})
}
