package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// Five answers, then WeChat takes no more before the customer writes: the agent
// is told, and what he wrote is kept until then.
func TestRelayKeepsAnswersOverTheAllowance(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.arrives("cs1", "请问有几种")
		wang.reads(line(1, "售前", "请问有几种"))
		wang.answers("第一种")
		r.hears(c, "第一种")
		wang.answers("第二种")
		r.hears(c, "第二种")
		wang.asks("第三种", "已发送，还可回复 2 条。")
		r.hears(c, "第三种")
		wang.asks("第四种", "已发送，还可回复 1 条。")
		r.hears(c, "第四种")
		wang.asks("第五种", "已发送，还可回复 0 条。")
		r.hears(c, "第五种")
		wang.asks("第六种", "客户再次发言之前，微信不允许再发；这条已保留")
		wang.asks("第七种", "这条已保留")
		r.unheard(c, "第六种")
		wang.asks("历史", "王小姐：第七种")

		r.writes(c, "还有吗")
		r.hears(c, "第七种")
		wang.asks("第八种", "已发送，还可回复 2 条。")
		r.hears(c, "第八种")
		want := []string{"greeting 王小姐 of 售前", "第一种", "第二种", "第三种", "第四种", "第五种", "第六种", "第七种", "第八种"}
		if got := from(c, simulator.FromAPI); !slices.Equal(got, want) {
			t.Errorf("the customer has read %q, want %q", got, want)
		}
		r.unrefused()
		r.well()
	})
}

// Answers come before notices when the allowance runs short.
func TestRelayAnswersComeBeforeNotices(t *testing.T) {
	t.Parallel()
	r := relaying(t, redistest.Start(t), nil)
	wang := r.bound("wang")[0]
	c := r.arrives("cs1", "请问有几种")
	wang.reads(line(1, "售前", "请问有几种"))
	for _, text := range []string{"第一种", "第二种", "第三种", "第四种", "第五种", "第六种"} {
		wang.says(text)
	}
	wang.asks("结束", "已结束") // its notice has no room
	r.hears(c, "第五种")
	r.writes(c, "还有吗")
	r.hears(c, "第六种")
	wang.reads(line(2, "售前", "还有吗"))
	r.unrefused()
	r.well()
}

func TestRelayTellsThatTheCustomersWindowIsOver(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		const window = 3 * time.Second
		r := relaying(t, redis, map[string]string{"WINDOW": window.String()})
		wang := r.bound("wang")[0]
		c := r.somebody("shop")
		r.writes(c, "请问有几种")
		wrote := time.Now()
		wang.reads(line(1, "售前", "请问有几种"))
		eventually(t, "the window is over", func() bool { return time.Since(wrote) > window })
		wang.asks("很多种", "没有发出：客户 48 小时内没有再发言，微信不允许再发。")
		r.writes(c, "还在吗")
		wang.reads(line(1, "售前", "还在吗"))
		wang.answers("在的")
		r.hears(c, "在的")
		r.unheard(c, "很多种")
		r.unrefused()
		r.well()
	})
}

// What WeChat refuses for good is told to the agent, with the reason.
func TestRelayTellsWhyAnAnswerWasNotDelivered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		code   int
		reason string
	}{
		{"no permission", 48001, "小程序没有发送客服消息的权限"},
		{"unknown customer", 40003, "找不到该客户"},
		{"over, against all expectation", 45015, "客户 48 小时内没有再发言，微信不允许再发"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onRedis(t, func(t *testing.T, redis *redistest.Server) {
				r := relaying(t, redis, nil)
				wang := r.bound("wang")[0]
				c := r.arrives("cs1", "请问有几种")
				wang.reads(line(1, "售前", "请问有几种"))
				heal := r.box.BreakAPI(simulator.APIBreak{Path: sendPath, Account: r.accounts["shop"], ErrCode: tt.code})
				wang.answers("只有一种")
				wang.reads("会话 #1 的回复没有送达：" + tt.reason + "。内容：只有一种")
				heal()
				r.writes(c, "喂")
				wang.reads(line(1, "售前", "喂"))
				wang.answers("现在好了")
				r.hears(c, "现在好了")
				r.unheard(c, "只有一种")
				r.well()
			})
		})
	}
}

// When WeChat says that the customer may be sent no more until he writes, the answer
// is kept for him like any other.
func TestRelayKeepsAnAnswerThatWeChatDoesNotTakeNow(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.arrives("cs1", "请问有几种")
		wang.reads(line(1, "售前", "请问有几种"))
		heal := r.box.BreakAPI(simulator.APIBreak{Path: sendPath, Account: r.accounts["shop"], ErrCode: 45047})
		wang.answers("只有一种")
		r.await("WeChat refuses it", func() bool { return r.box.Calls(sendPath)[45047] > 0 })
		heal()
		r.writes(c, "什么颜色")
		r.hears(c, "只有一种")
		wang.reads(line(1, "售前", "什么颜色"))
		wang.answers("红色")
		r.hears(c, "红色")
		for _, l := range wang.lines() {
			if strings.Contains(l, "没有送达") {
				t.Errorf("Wang is told %q", l)
			}
		}
		r.well()
	})
}

// Trouble that passes is not the agent's business: the answer arrives, once.
func TestRelayDeliversAnswersThroughTrouble(t *testing.T) {
	t.Parallel()
	for _, broken := range []simulator.APIBreak{
		{Status: 503, Calls: 2},
		{ErrCode: -1, Calls: 2},
		{ErrCode: 40001, Calls: 1},
		{Reset: true, Calls: 2},
	} {
		t.Run(strings.TrimSpace(strings.Join([]string{itoa(broken.Status), itoa(broken.ErrCode)}, " ")), func(t *testing.T) {
			t.Parallel()
			r := relaying(t, redistest.Start(t), nil)
			wang := r.bound("wang")[0]
			c := r.arrives("cs1", "请问有几种")
			wang.reads(line(1, "售前", "请问有几种"))
			broken.Path, broken.Account = sendPath, r.accounts["shop"]
			heal := r.box.BreakAPI(broken)
			wang.answers("第一种")
			wang.answers("第二种")
			r.hears(c, "第二种")
			heal()
			if got := from(c, simulator.FromAPI); !slices.Equal(got[1:], []string{"第一种", "第二种"}) {
				t.Errorf("the customer has read %q", got)
			}
			r.well()
		})
	}
}
