package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// An agent who ends a conversation in answer to the word that there is more,
// still gets what he has not had of it.
func TestRelayShowsWhatWasHeldToWhoEndsTheConversation(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.unread("cs1", wang, 40)
		wang.asks("结束", "会话 #1 已结束")
		r.hears(c, "closed")
		wang.asks("列表", "现在没有进行中的会话")
		wang.reads(line(1, "售前", "第40句"))
		r.well()
	})
}

// What an agent has not had of a conversation that nobody else could take is
// still his to read.
func TestRelayShowsWhatWasHeldToWhoMissedIt(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, map[string]string{"TIMEOUT": "3s"})
		zhao := r.bound("zhao")[0]
		c := r.unread("cs3", zhao, 7)
		r.hears(c, "waiting")
		zhao.asks("上线", "您已上线")
		zhao.reads(line(1, "投诉", "第07句"))
		r.well()
	})
}

// Words that an agent means for the only conversation he has left, though he
// has selected none, reach nobody else when that is taken from him, too, and a new
// customer comes.
func TestRelayLosesTheOnlyConversationThatWasNeverSelected(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		chats := r.bound("wang", "zhao")
		wang, zhao := chats[0], chats[1]
		moved := 0
		taken := func(c *simulator.Customer) {
			t.Helper()
			moved++
			text := "转走的第" + itoa(moved) + "位"
			r.tap(c, "cs3")
			r.writes(c, text)
			zhao.reads(line(moved, "投诉", text))
			zhao.says("收到") // so that he can be sent more
		}
		var all []*simulator.Customer
		arrives := func(label int) {
			t.Helper()
			text := "第" + itoa(label) + "位"
			all = append(all, r.arrives("cs1", text))
			wang.reads(line(label, "售前", text))
		}
		for n := range 4 {
			arrives(n + 1)
		}
		taken(all[0])
		wang.asks("给第一位", "会话 #1 已不在您这里（已转给赵小姐），这条没有发出")
		wang.asks("#2 结束", "会话 #2 已结束。")
		taken(all[2]) // while none is selected
		wang.asks("给第三位", "会话 #3 已不在您这里（已转给赵小姐），这条没有发出", "现在是会话 #4")
		wang.asks("#4 结束", "会话 #4 已结束。")

		arrives(5)
		arrives(6)
		arrives(7)
		taken(all[4])
		wang.asks("给第五位", "会话 #5 已不在您这里")
		wang.asks("#6 结束", "会话 #6 已结束。现在是会话 #7。")
		taken(all[6])
		arrives(8)
		wang.asks("给第七位", "会话 #7 已不在您这里（已转给赵小姐），这条没有发出", "现在是会话 #8")
		wang.answers("给第八位")
		r.hears(all[7], "给第八位")
		for _, text := range []string{"给第一位", "给第三位", "给第五位", "给第七位"} {
			for _, c := range all {
				r.unheard(c, text)
			}
		}
		r.well()
	})
}

// What is kept for a minute, for repeats, is sealed like what is kept for longer.
func TestTextsCannotBeReadInRecordsOfPushes(t *testing.T) {
	t.Parallel()
	o := relayOptions(startUncompressed(t), nil)
	r := start(t, o)
	wang := r.bound("wang")[0]
	r.arrives("cs1", "Kunde-eins")
	wang.reads(line(1, "售前", "Kunde-eins"))
	wang.says("Antwort-eins")
	wang.asks("历史", "Kunde-eins", "Antwort-eins")
	wang.asks("列表", "Kunde-eins")
	found := o.redis.MustDo("EVAL", `
		local all = {}
		for _, key in ipairs(redis.call('KEYS', '*')) do all[#all + 1] = key .. ' ' .. redis.call('DUMP', key) end
		return table.concat(all, '\n')`, "0")
	for _, text := range []string{"Kunde-eins", "Antwort-eins"} {
		if i := strings.Index(found, text); i >= 0 {
			t.Errorf("%s is found: %.200q", text, found[max(0, i-120):])
		}
	}
}
