package main

import (
	"fmt"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// unread has a customer write more than the agent can be sent.
func (r *rig) unread(tag string, agent *chat, messages int) *simulator.Customer {
	r.t.Helper()
	c := r.arrives(tag, "第00句")
	for i := range messages {
		r.writes(c, fmt.Sprintf("第%02d句", i+1))
	}
	agent.reads(moreText)
	return c
}

// Who gets a conversation gets all of it that nobody has read.
func TestRelayTransferBringsAllThatWasHeld(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		chats := r.bound("wang", "li")
		wang, li := chats[0], chats[1]
		r.unread("cs1", wang, 40)
		wang.asks("转给 li", "会话 #1 已转给李先生")
		li.reads("客户：第40句")
		for i := range 41 {
			if n := li.has(fmt.Sprintf("客户：第%02d句", i)); n != 1 {
				t.Errorf("Li has message %d %d times", i, n)
			}
		}
		r.unrefused()
	})
}
