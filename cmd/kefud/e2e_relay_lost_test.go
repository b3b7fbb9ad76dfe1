package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
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
