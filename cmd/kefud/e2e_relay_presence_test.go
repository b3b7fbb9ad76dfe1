package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// A conversation in an agent's own chat takes a seat like any other, until it ends.
func TestRelayConversationsTakeSeats(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, map[string]string{"CAPACITY": "1"})
		wang := r.bound("wang", "li")[0]
		first := r.arrives("cs1", "第一位")
		r.decided(first, "wang", kefu.ReasonKept)
		second := r.arrives("cs1", "第二位")
		r.decided(second, "li", kefu.ReasonKept)
		third := r.somebody("shop")
		if got := answer(t, r.say(third, "第三位")); got.Kind != simulator.AnswerTransfer {
			t.Errorf("with everybody busy, answered with %s; %+v", got, r.decision(third))
		}
		wang.asks("转给 li", "李先生现在不能接（已满），会话 #1 仍在您这里")
		wang.asks("结束", "会话 #1 已结束")
		fourth := r.arrives("cs1", "第四位")
		r.decided(fourth, "wang", kefu.ReasonKept)
		wang.reads(line(2, "售前", "第四位"))
		r.well()
	})
}

// Who goes offline, or is busy, keeps the conversations he has and gets no new ones.
func TestRelayDrainsWhoGoesOffline(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"下线", "忙碌"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			onRedis(t, func(t *testing.T, redis *redistest.Server) {
				r := relaying(t, redis, nil)
				chats := r.bound("wang", "li")
				wang, li := chats[0], chats[1]
				c := r.arrives("cs1", "第一句")
				wang.asks(word, "还有 1 个会话请继续答复")
				r.writes(c, "第二句")
				r.decided(c, "wang", kefu.ReasonKept)
				wang.reads(line(1, "售前", "第二句"))
				wang.answers("第二句的答复")
				r.hears(c, "第二句的答复")
				other := r.arrives("cs1", "新来的")
				li.reads(line(1, "售前", "新来的"))
				r.unheard(c, "reassigned 李先生")
				wang.asks("结束", "会话 #1 已结束")
				r.writes(c, "又来了") // and not to Wang, although he was the customer's own
				r.decided(c, "li", kefu.ReasonStandIn)
				wang.asks("上线", "您已上线，新的会话会分配给您")
				r.decided(other, "li", kefu.ReasonKept)
				r.decided(r.arrives("cs1", "最后一位"), "wang", kefu.ReasonKept)
				r.well()
			})
		})
	}
}

// Unknown is not present: an agent whose chat the configuration names can be sent
// nothing before he has written.
func TestRelayWaitsForTheAgentsFirstWord(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		const openid = "oAgentChatOfxxxxxxxxxxwang"
		r := relaying(t, redis, map[string]string{"WANG_OPENID": openid})
		wang, li := r.chatOf("wang"), r.bound("li")[0]
		if wang.user.OpenID() != openid {
			t.Fatal("not the same chat")
		}
		early := r.arrives("cs1", "来得早")
		r.decided(early, "li", kefu.ReasonKept)
		wang.asks("上线", "您已上线")
		r.knows("shop", "wang", kefu.PresenceOnline)
		r.decided(r.arrives("cs1", "来得晚"), "wang", kefu.ReasonKept)
		wang.reads(line(1, "售前", "来得晚"))
		if got := li.said(); len(got) != 1 {
			t.Errorf("Li has %q", got)
		}
		r.unrefused()
		r.well()
	})
}

// An agent who has not written for so long that WeChat takes nothing for him is
// not there any more, until he writes.
func TestRelayMissesWhoseWindowIsOver(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, map[string]string{"BOARD_WINDOW": "5s"})
		chats := r.bound("wang", "li")
		wang, li := chats[0], chats[1]
		c := r.arrives("cs1", "第一句")
		r.decided(c, "wang", kefu.ReasonKept)
		r.knows("shop", "wang", kefu.PresenceOffline)
		r.knows("shop", "li", kefu.PresenceOffline)
		li.asks("上线", "您已上线")
		r.knows("shop", "li", kefu.PresenceOnline)
		r.writes(c, "第二句")
		r.decided(c, "li", kefu.ReasonStandIn)
		r.hears(c, "reassigned 李先生")
		li.reads(line(1, "售前", "第二句"))
		wang.asks("我回来了", "会话 #1 已不在您这里（已转给李先生）")
		r.knows("shop", "wang", kefu.PresenceOnline)
		r.decided(r.arrives("cs1", "另一位"), "wang", kefu.ReasonKept)
		r.unrefused()
		r.well()
	})
}

// Who blocks the account is gone at once, and who waits for him goes to somebody
// else. When he follows it again he is welcome, and online when he says so.
func TestRelayMovesOnWhenTheAgentUnfollows(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, map[string]string{"TIMEOUT": "10m"})
		chats := r.bound("wang", "li")
		wang, li := chats[0], chats[1]
		waiting, answered := r.arrives("cs1", "我在等"), r.arrives("cs1", "我不等")
		wang.reads(line(2, "售前", "我不等"))
		wang.answers("#2 您的答复")
		r.hears(answered, "您的答复")
		wang.push(wang.user.Unfollow())
		r.knows("shop", "wang", kefu.PresenceOffline)
		r.hears(waiting, "reassigned 李先生")
		li.reads("客户：我在等")
		r.writes(answered, "我还有话说")
		r.decided(answered, "li", kefu.ReasonStandIn)

		if told := wang.push(wang.user.Follow()); !strings.Contains(told, "王小姐，欢迎回来。发送“上线”开始接待") {
			t.Errorf("told %q", told)
		}
		r.decided(r.arrives("cs1", "还没上线"), "li", kefu.ReasonKept)
		wang.asks("上线", "您已上线")
		r.knows("shop", "wang", kefu.PresenceOnline)
		r.decided(r.arrives("cs1", "已经上线"), "wang", kefu.ReasonKept)
		r.unrefused()
		r.well()
	})
}

// WeChat refuses what is sent to an agent who has left and of whom no event told:
// the message goes to the next, and nothing more to him.
func TestRelayMovesOnWhenWeChatTakesNothingForTheAgent(t *testing.T) {
	t.Parallel()
	for _, code := range []int{45015, 43004} {
		t.Run(itoa(code), func(t *testing.T) {
			t.Parallel()
			onRedis(t, func(t *testing.T, redis *redistest.Server) {
				r := relaying(t, redis, nil)
				chats := r.bound("wang", "li")
				wang, li := chats[0], chats[1]
				r.box.BreakAPI(simulator.APIBreak{Path: sendPath, Account: r.accounts["board"], ErrCode: code, Calls: 1})
				c := r.somebody("shop")
				r.writes(c, "有人吗")
				r.decided(c, "li", kefu.ReasonStep)
				li.reads(line(1, "售前", "有人吗"))
				r.knows("shop", "wang", kefu.PresenceOffline)
				wang.asks("上线", "您已上线")
				r.knows("shop", "wang", kefu.PresenceOnline)
				r.writes(c, "谢谢")
				r.decided(c, "li", kefu.ReasonKept)
				if got := wang.said(); len(got) != 0 {
					t.Errorf("Wang has %q", got)
				}
				wang.asks("列表", "现在没有进行中的会话")
				r.well()
			})
		})
	}
}
