package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

func TestBindingTakesTheRightCodeOnceAndNoOther(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang, li := r.chatOf("wang"), r.chatOf("li")
		void, code := r.invite("wang"), r.invite("wang") // the second takes the place of the first
		wang.asks(void, "绑定码不正确或已过期")
		typed := " " + strings.ToLower(code[:3]) + "-" + code[3:] + " "
		wang.asks(typed, "王小姐，绑定成功")
		r.knows("shop", "wang", kefu.PresenceOnline)
		li.asks(code, "绑定码不正确或已过期") // it was used

		wang.asks(code, "王小姐，绑定成功") // he sent it twice

		// Whose chat it is has to be unbound first; a code is no words for a customer either.
		wang.asks(r.invite("li"), "此微信已绑定坐席王小姐，请先由管理员解除绑定")
		li.asks(r.invite("li"), "李先生，绑定成功")
		c := r.arrives("cs1", "还有货吗")
		wang.reads(line(1, "售前", "还有货吗"))
		if li.has(line(1, "售前", "还有货吗")) != 0 {
			t.Error("Li has it too")
		}
		wang.answers("有货")
		r.hears(c, "有货")
		others := r.invite("zhao")
		for _, text := range []string{others, "#1 " + others} {
			wang.asks(text, "此微信已绑定坐席王小姐")
		}
		wang.asks(code, "王小姐，绑定成功")
		wang.answers("thanks") // which only looks like one
		r.hears(c, "thanks")
		r.unheard(c, others)
		r.unheard(c, code)
		r.well()
	})
}

func TestBindingRefusesAfterFiveWrongCodes(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		guesser, wang := r.chatOf("guesser"), r.chatOf("wang")
		code := r.invite("wang")
		for _, wrong := range []string{"222222", "333333", "444444", "555555", "666666"} {
			guesser.asks(wrong, "绑定码不正确或已过期")
		}
		guesser.asks("777777", "尝试次数过多")
		guesser.asks(code, "尝试次数过多")
		if got := r.server.board.Chat("wang").ID.User; got != "" {
			t.Error("the code worked all the same")
		}
		wang.asks(code, "绑定成功") // who guessed nothing is not refused for another's guesses
		r.well()
	})
}

func TestBindingRefusesAnExpiredCode(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		const for10 = 10 * time.Minute
		must(t, r.server.store.Invite(t.Context(), kefu.Invitation{
			Agent: "wang", App: "board", Code: "ABCDEF", At: time.Now().Add(-for10 - time.Second), For: for10,
		}))
		must(t, r.server.store.Invite(t.Context(), kefu.Invitation{
			Agent: "li", App: "board", Code: "GHJKLM", At: time.Now().Add(-for10 + time.Minute), For: for10,
		}))
		r.chatOf("wang").asks("ABCDEF", "绑定码不正确或已过期")
		r.chatOf("li").asks("GHJKLM", "绑定成功")
	})
}

// A chat is one agent's. An agent who binds another loses the one he had.
func TestBindingMovesAnAgentToHisNewChat(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		old := r.bound("wang")[0]
		phone := r.chatOf("wangs-new-phone")
		phone.asks(r.invite("wang"), "王小姐，绑定成功")
		r.arrives("cs1", "新手机上的消息")
		phone.reads(line(1, "售前", "新手机上的消息"))
		if len(old.lines()) != 0 {
			t.Errorf("the old chat has %q", old.lines())
		}
		old.asks("你好", "如果您是坐席")
		r.well()
	})
}

// The push with the code comes again: it is answered as the first time, and so
// are all words.
func TestBindingAndWordsAreAnsweredTheSameWhenPushedAgain(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, map[string]string{"BOARD_ENCRYPTION": "plain"})
		wang := r.chatOf("wang")
		again := func(p *simulator.Push, part string) {
			t.Helper()
			for range 2 {
				_, err := p.Repush(t.Context())
				must(t, err)
			}
			_, err := p.SendTwice(t.Context())
			must(t, err)
			answers := r.wire.to(p)
			for _, a := range answers {
				if a != answers[0] || !strings.Contains(a, part) {
					t.Errorf("answered with %q, and first with %q", a, answers[0])
				}
			}
			if len(answers) < 5 {
				t.Errorf("%d answers", len(answers))
			}
		}
		wrong := wang.user.Text("ABCDEF")
		wang.push(wrong)
		again(wrong, "绑定码不正确或已过期")
		code := wang.user.Text(r.invite("wang"))
		wang.push(code)
		again(code, "绑定成功")
		again(wrong, "绑定码不正确或已过期")

		c := r.arrives("cs1", "在吗")
		wang.reads(line(1, "售前", "在吗"))
		for _, text := range []string{"回复一", "回复二", "回复三", "列表", "结束"} {
			p := wang.user.Text(text)
			told := wang.push(p)
			again(p, told)
		}
		r.hears(c, "closed")
		if got := strings.Join(from(c, simulator.FromAPI), " "); got != "greeting 王小姐 of 售前 回复一 回复二 回复三 closed" {
			t.Errorf("the customer has read %q", got)
		}
		r.well()
	})
}

func TestStrangersAtTheSwitchboardGetOnePoliteLine(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		stranger := r.chatOf("stranger")
		for _, p := range []*simulator.Push{
			stranger.user.Follow(),
			stranger.user.Text("你好"),
			stranger.user.Text("列表"),
			stranger.user.Text("#1 你好"),
			stranger.user.Image(),
			stranger.user.Raw(simulator.Fields{{Name: "MsgType", Value: "voice"}, {Name: "MediaId", Value: "voice-1"}, {Name: "Format", Value: "amr"}}),
			stranger.user.Raw(simulator.Fields{{Name: "MsgType", Value: "location"}, {Name: "Label", Value: "北京"}}),
		} {
			if told := stranger.push(p); !strings.Contains(told, "如果您是坐席，请发送管理员给您的 6 位绑定码") {
				t.Errorf("a stranger is told %q", told)
			}
		}
		if told := stranger.push(stranger.user.Unfollow()); told != "" {
			t.Errorf("who leaves is told %q", told)
		}
		if len(stranger.messages()) != 0 {
			t.Errorf("a stranger was sent %q", stranger.messages())
		}
		r.well()
	})
}

// Commands of their own process on Redis; of a server with the embedded store,
// by HTTP.
func TestAgentsAreInvitedListedAndUnbound(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		o := relayOptions(redis, nil)
		r := start(t, o)
		agents := func(args ...string) (int, string) {
			t.Helper()
			args = append([]string{"agents"}, args...)
			if redis == nil {
				args = append(args, "--server", r.url)
			}
			return r.command(o, args...)
		}
		if _, list := agents("list"); !hasLine(list, []string{"wang", "王小姐", "board", "-", "-"}) {
			t.Errorf("before:\n%s", list)
		}
		status, printed := agents("invite", "wang")
		code, _, _ := strings.Cut(printed, "\n")
		if status != exitDone || len(code) != 6 {
			t.Fatalf("invite ends with %d:\n%s", status, printed)
		}
		wang := r.chatOf("wang")
		wang.asks(code, "王小姐，绑定成功")
		if _, list := agents("list"); !hasLine(list, []string{"wang", "王小姐", "board", "oAge…wang", "online"}) {
			t.Errorf("bound:\n%s", list)
		}
		c := r.arrives("cs1", "第一句")
		wang.reads(line(1, "售前", "第一句"))

		if status, printed := agents("unbind", "wang"); status != exitDone || !strings.Contains(printed, "wang is unbound") {
			t.Errorf("unbind ends with %d:\n%s", status, printed)
		}
		r.knows("shop", "wang", kefu.PresenceUnknown)
		if got := answer(t, r.say(c, "第二句")); got.Kind != simulator.AnswerTransfer {
			t.Errorf("the next message was answered with %s", got)
		}
		if wang.has(line(1, "售前", "第二句")) != 0 {
			t.Error("it was relayed to an unbound chat")
		}
		wang.asks("我的回复", "如果您是坐席")
		r.unheard(c, "我的回复")
		if status, printed := agents("unbind", "wang"); status != exitFailed || !strings.Contains(printed, "no chat is bound") {
			t.Errorf("unbind again ends with %d:\n%s", status, printed)
		}
		if status, printed := agents("unbind", "nosuch"); status != exitUsage {
			t.Errorf("unbind nobody ends with %d:\n%s", status, printed)
		}
		r.well()
	})
}

func TestAgentsOverHTTP(t *testing.T) {
	t.Parallel()
	r := relaying(t, nil, nil)
	ask := func(method, path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+"/api/v1/agents"+path, http.NoBody)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+adminToken)
		return do(t, req)
	}
	if code, body := ask(http.MethodPost, "/nosuch/invitation"); code != http.StatusNotFound {
		t.Errorf("an invitation of nobody: %d %s", code, body)
	}
	if code, body := ask(http.MethodDelete, "/wang/chat"); code != http.StatusNotFound {
		t.Errorf("unbinding nothing: %d %s", code, body)
	}
	wang := r.bound("wang")[0]
	wang.asks("忙碌", "忙碌")
	var list []struct{ ID, Switchboard, Bound, State string }
	code, body := ask(http.MethodGet, "")
	must(t, json.Unmarshal([]byte(body), &list))
	if code != http.StatusOK || len(list) != 3 || list[0].ID != "wang" || list[0].State != "busy" || list[0].Bound != "oAge…wang" {
		t.Errorf("list: %d %s", code, body)
	}
	if strings.Contains(body, wang.user.OpenID()) {
		t.Error("the list has a full openid")
	}
	if code, body := ask(http.MethodDelete, "/wang/chat"); code != http.StatusNoContent {
		t.Errorf("unbind: %d %s", code, body)
	}
	r.knows("shop", "wang", kefu.PresenceUnknown)
	wang.asks("列表", "如果您是坐席")
}
