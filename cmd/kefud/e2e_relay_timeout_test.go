package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

var impatient = map[string]string{"TIMEOUT": "400ms"}

// Who is not answered in time goes to the next on the ladder with what was said,
// to each agent once; and when nobody is left, to WeChat's desk with the next word.
func TestRelayMovesOnWhoIsNotAnswered(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, impatient)
		chats := r.bound("wang", "li", "zhao")
		wang, li, zhao := chats[0], chats[1], chats[2]
		c := r.somebody("shop")
		r.tap(c, "cs1")
		r.writes(c, "有人在吗")
		wang.reads(line(1, "售前", "有人在吗"))
		li.reads(line(1, "售前", "（王小姐转来的会话）"))
		li.reads("客户：有人在吗")
		r.hears(c, "reassigned 李先生")
		wang.reads("会话 #1 1 分钟没有答复，已转给李先生。")
		wang.asks("现在才来", "会话 #1 已不在您这里（已转给李先生），这条没有发出")

		r.hears(c, "waiting")
		li.reads("会话 #1 1 分钟没有答复，已不在您这里。")
		li.asks("我也来了", "会话 #1 已不在您这里（已转到微信客服），这条没有发出")
		result := r.say(c, "到底有没有人")
		if got := answer(t, result); got.Kind != simulator.AnswerTransfer || got.KfAccount != "" {
			t.Errorf("the next message was answered with %s", got)
		}
		r.unheard(c, "现在才来")
		r.unheard(c, "我也来了")
		if n := wang.has("客户：有人在吗"); n != 0 {
			t.Errorf("it came back to Wang %d times", n)
		}
		if got := zhao.messages(); len(got) != 0 {
			t.Errorf("Zhao, who is not on the ladder, has %q", got)
		}
		r.well()
	})
}

// Two in a row, and the agent is busy until he says that he is back.
func TestRelaySetsBusyWhoMissesTwice(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, impatient)
		zhao := r.bound("zhao")[0]
		complains := func(text string) (*simulator.Customer, simulator.Answer) {
			t.Helper()
			c := r.somebody("shop")
			r.tap(c, "cs3")
			return c, answer(t, r.say(c, text))
		}
		for i, text := range []string{"第一位客户", "第二位客户"} {
			if strings.Contains(strings.Join(zhao.lines(), ""), twiceText) {
				t.Errorf("Zhao is busy after %d", i)
			}
			c, got := complains(text)
			if got.Kind != simulator.AnswerSuccess {
				t.Errorf("%s was answered with %s", text, got)
			}
			r.hears(c, "waiting")
			zhao.reads("会话 #" + itoa(i+1) + " 1 分钟没有答复，已不在您这里。")
		}
		zhao.reads(twiceText)
		if c, got := complains("第三位客户"); got.Kind != simulator.AnswerTransfer {
			t.Errorf("while she is busy, answered with %s; %+v", got, r.decision(c))
		}
		zhao.asks("上线", "您已上线")
		complains("第四位客户")
		zhao.reads(line(3, "投诉", "第四位客户"))
		r.well()
	})
}

const twiceText = "您连续两次没有答复，已设为忙碌，不再接新会话。回来后请发送“上线”。"

// Once he has answered nobody takes the conversation from him, until the customer
// waits again; and at an entry without a timeout nobody ever does.
func TestRelayLeavesWhoIsAnswered(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, map[string]string{"TIMEOUT": "1500ms"})
		chats := r.bound("wang", "li", "zhao")
		wang, li := chats[0], chats[1]
		li.asks("忙碌", "忙碌")
		patient := r.somebody("shop")
		r.tap(patient, "cs4")
		r.writes(patient, "我可以等")
		wang.reads(line(1, "咨询", "我可以等"))
		c := r.somebody("shop")
		r.writes(c, "请快一点")
		wang.reads(line(2, "售前", "请快一点"))
		if told := wang.says("#2 马上"); told != "" {
			t.Fatalf("it took Wang too long to answer: %q", told)
		}
		r.hears(c, "马上")
		li.asks("上线", "上线")
		clock := r.somebody("shop") // Zhao's, who does not answer; he waits longer than those two
		r.tap(clock, "cs3")
		r.writes(clock, "我等得更久")
		r.hears(clock, "waiting")
		r.decided(c, "wang", kefu.ReasonStep)
		if got := li.lines(); len(got) != 0 {
			t.Errorf("Li has %q", got)
		}
		r.writes(c, "还有一个问题")
		r.decided(c, "wang", kefu.ReasonKept)
		li.reads("客户：还有一个问题") // he waits again
		r.hears(c, "reassigned 李先生")
		r.writes(patient, "我还在等")
		r.decided(patient, "wang", kefu.ReasonKept)
		r.well()
	})
}
