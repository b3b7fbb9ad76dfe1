package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/kefu"
)

func hint(label int) string { return "（答复请发送：#" + itoa(label) + " 内容）" }

// An agent's bare text goes to the conversation he has selected. Nothing that a
// customer does moves the selection.
func TestRelaySelectsOnlyWhatTheAgentMeans(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang", "li", "zhao")[0]
		wang.asks("有人吗", "现在没有进行中的会话，这条没有发出")
		first := r.arrives("cs1", "第一位来了")
		wang.reads(line(1, "售前", "第一位来了"))
		if wang.has(hint(1)) != 0 {
			t.Error("the selected conversation has a hint")
		}
		second := r.arrives("cs1", "第二位来了")
		wang.reads(line(2, "售前", "第二位来了"))
		wang.reads(hint(2))
		wang.answers("给第一位")
		r.hears(first, "给第一位")

		wang.answers("#2 给第二位")
		r.hears(second, "给第二位")
		r.writes(first, "第一位又说")
		wang.reads(line(1, "售前", "第一位又说"))
		wang.reads(hint(1))
		wang.answers("仍然给第二位")
		r.hears(second, "仍然给第二位")
		wang.answers("＃１： 回到第一位") // as Chinese keyboards write it
		r.hears(first, "回到第一位")
		wang.asks("#2", "现在是会话 #2 售前")
		wang.asks("#1", "现在是会话 #1 售前")

		wang.asks("#7 给第七位", "没有编号为 #7 的会话，这条没有发出")
		wang.asks("#2给第二位", "请在编号后加空格再发，这条没有发出：#2 内容")
		wang.asks("#2", "现在是会话 #2") // so those did not select it
		wang.asks("#1", "现在是会话 #1")

		wang.asks("结束", "会话 #1 已结束。现在是会话 #2。")
		r.hears(first, "closed")
		wang.asks("给剩下的一位", "还可回复 2 条")
		r.hears(second, "给剩下的一位")
		r.writes(first, "第一位回来了")
		wang.reads(line(3, "售前", "第一位回来了"))
		wang.asks("还是给剩下的一位", "还可回复 1 条")
		r.hears(second, "还是给剩下的一位")

		third := r.arrives("cs1", "第三位来了")
		wang.reads(line(4, "售前", "第三位来了"))
		wang.asks("结束", "会话 #2 已结束。")
		wang.asks("给谁呢", "请先选择会话，这条没有发出", "#3 售前", "第一位回来了", "#4 售前", "第三位来了")
		for _, text := range []string{"给第七位", "给第二位", "#2给第二位", "给谁呢"} {
			r.unheard(first, text)
			r.unheard(third, text)
		}
		r.unheard(second, "#2给第二位")
		r.unheard(second, "给谁呢")
		r.unrefused()
		r.well()
	})
}

// After a conversation was taken from an agent, what he writes next, and may
// have begun before he knew, goes to nobody.
func TestRelayLosesTheSelectionWithTheConversation(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		chats := r.bound("wang", "li", "zhao")
		wang, zhao := chats[0], chats[2]
		moving, staying := r.arrives("cs1", "要投诉的客户"), r.arrives("cs1", "另一位客户")
		wang.reads(line(2, "售前", "另一位客户"))
		wang.answers("您好")
		r.hears(moving, "您好")
		r.tap(moving, "cs3") // he has come through another button
		r.writes(moving, "我要投诉")
		zhao.reads(line(1, "投诉", "我要投诉"))

		wang.asks("写给走了的客户", "会话 #1 已不在您这里（已转给赵小姐），这条没有发出", "现在是会话 #2")
		wang.asks("#1 还是写给他", "没有编号为 #1 的会话")
		wang.answers("写给另一位客户")
		r.hears(staying, "写给另一位客户")
		r.unheard(moving, "写给走了的客户")
		r.unheard(staying, "写给走了的客户")
		zhao.answers("请讲")
		r.hears(moving, "请讲")
		r.well()
	})
}

func TestRelayUnderstandsEveryCommandAsPeopleTypeIt(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		chats := r.bound("wang", "li", "zhao")
		wang := chats[0]
		wang.asks("列表", "现在没有进行中的会话")
		first := r.arrives("cs1", "第一位的问题")
		wang.reads(line(1, "售前", "第一位的问题"))
		second := r.arrives("cs4", "第二位的问题") // the presale group: Li, who has nobody
		chats[1].reads(line(1, "咨询", "第二位的问题"))
		third := r.arrives("cs1", "第三位的问题")
		wang.reads(line(2, "售前", "第三位的问题"))
		wang.answers("第一位的答复")

		for _, form := range []func(zh, en string) string{
			func(zh, _ string) string { return zh },
			func(_, en string) string { return en },
			func(zh, _ string) string { return "/" + zh },
			func(_, en string) string { return "/" + strings.ToUpper(en[:1]) + en[1:] },
			func(zh, _ string) string { return "／" + zh + " " },
			func(zh, _ string) string { return "#1 " + zh },
			func(_, en string) string { return "＃１ /" + en },
			func(zh, _ string) string { return "#1" + zh },
		} {
			wang.asks(form("忙碌", "busy"), "已设为忙碌，不再接新会话；还有 2 个会话请继续答复", "发送“上线”恢复")
			wang.asks(form("下线", "offline"), "您已下线，不再接新会话；还有 2 个会话请继续答复或发送“结束”")
			wang.asks(form("上线", "online"), "您已上线")
			wang.asks(form("列表", "list"), "进行中的会话 2 个：\n#1 售前 ← · 第一位的问题\n#2 售前 · ", "第三位的问题")
			wang.asks(form("历史", "history"), " 客户：第一位的问题\n", " 王小姐：第一位的答复")
			wang.asks(form("帮助", "help"), "直接回复：发给当前会话", "转给 坐席或分组")
		}
		wang.asks("#2 历史", " 客户：第三位的问题")
		wang.asks("列表", "#1 售前 ←") // a command about another conversation does not select it
		wang.asks("#2 结束", "会话 #2 已结束。")
		r.hears(third, "closed")
		r.unheard(first, "closed")
		wang.asks("/Close", "会话 #1 已结束。")
		r.hears(first, "closed")
		wang.asks("结束", "现在没有进行中的会话")
		for _, c := range r.box.Faults() {
			t.Errorf("a fault: %s", c)
		}
		if got := from(second, "api"); len(got) != 1 {
			t.Errorf("Li's customer has read %q", got)
		}
		r.well()
	})
}

func TestRelayTransfersToAgentsAndGroups(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		chats := r.bound("wang", "li")
		wang, li := chats[0], chats[1]
		for i, to := range []string{
			"转给 li", "转给李先生", "/转给 李先生", "transfer li", "TRANSFER presale", "#6 转给 presale", "＃７ 转给 LI",
		} {
			text := "我要找人，第" + itoa(i+1) + "位"
			c := r.arrives("cs1", text)
			wang.reads(line(i+1, "售前", text))
			wang.asks(to, "会话 #"+itoa(i+1)+" 已转给李先生")
			r.hears(c, "reassigned 李先生")
			li.reads("客户：" + text)
			li.says("收到") // so that he can be sent more
		}
		r.well()
	})
}

func TestRelayTransferBringsWhatWasSaid(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		chats := r.bound("wang", "li", "zhao")
		wang, li, zhao := chats[0], chats[1], chats[2]
		c := r.arrives("cs1", "第一句话")
		wang.reads(line(1, "售前", "第一句话"))
		wang.answers("第一句答复")
		r.hears(c, "第一句答复")
		r.writes(c, "第二句话")
		picture, push := r.image(c)
		r.send(push)
		r.pictures(wang.user, 1)

		wang.asks("转给 nosuch", "没有叫“nosuch”的坐席或分组", "李先生、赵小姐、presale")
		wang.asks("转给 wang", "没有叫“wang”的坐席或分组")
		zhao.asks("下线", "您已下线")
		wang.asks("转给 赵小姐", "赵小姐现在不能接（不在线），会话 #1 仍在您这里")
		zhao.asks("忙碌", "已设为忙碌")
		wang.asks("转给 赵小姐", "赵小姐现在不能接（忙碌），会话 #1 仍在您这里")
		wang.answers("转给你看看") // no command: more than one word, and nobody's name
		r.hears(c, "转给你看看")
		r.writes(c, "第三句话")
		wang.reads(line(1, "售前", "第三句话"))

		wang.asks("转给 李先生", "会话 #1 已转给李先生")
		r.hears(c, "reassigned 李先生")
		for _, told := range []string{
			line(1, "售前", "（王小姐转来的会话）"), "王小姐：第一句答复", "客户：第二句话", "客户：[图片]", "王小姐：转给你看看", "客户：第三句话",
		} {
			li.reads(told)
		}
		if wang.has("客户：第二句话") != 0 {
			t.Error("Wang has the transferred conversation too")
		}
		wang.asks("原来的坐席再说", "现在没有进行中的会话")
		wang.asks("#1 原来的坐席再说", "没有编号为 #1 的会话")
		li.answers("新坐席的答复")
		r.hears(c, "新坐席的答复")
		r.writes(c, "第四句话")
		li.reads(line(1, "售前", "第四句话"))
		r.unheard(c, "原来的坐席再说")
		r.decided(c, "li", kefu.ReasonKept)

		// What waits for an answer comes with its pictures.
		_, push = r.image(c)
		r.send(push)
		shown := r.pictures(li.user, 1)
		li.asks("转给 wang", "会话 #1 已转给王小姐") // the customer is told once in a conversation
		wang.reads(line(2, "售前", "（李先生转来的会话）"))
		if all := r.pictures(wang.user, 2); all[0] != picture || all[1] != shown[0] {
			t.Error("Wang does not have the pictures")
		}
		r.unrefused()
		r.well()
	})
}
