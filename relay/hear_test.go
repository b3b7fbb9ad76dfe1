package relay

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

const trouble = "系统暂时有故障，这条可能没有发出，请稍后用“历史”查看。"

// by is a message in the switchboard.
func by(chat kefu.CustomerID, kind kefu.Kind, text string) kefu.Message {
	return kefu.Message{Customer: chat, Key: "h1", Kind: kind, Text: text, At: noon.Add(-time.Second)}
}

func write(text string) kefu.Message { return by(wangChat, kefu.KindText, text) }

// route gives what the chat is told.
func route(t *testing.T, r *Relay, m kefu.Message) (string, kefu.Decision) {
	t.Helper()
	d := r.Route(t.Context(), &m)
	if (d.Answer.Way == kefu.WayText) != (d.Answer.Text != "") || d.Answer.Way != kefu.WayText && d.Answer.Way != kefu.WaySuccess {
		t.Errorf("answer %+v", d.Answer)
	}
	if d.Degraded != (d.Err != nil) || d.Degraded != (d.Cause != kefu.CauseNone) {
		t.Errorf("degraded %t by %q: %v", d.Degraded, d.Cause, d.Err)
	}
	return d.Answer.Text, d
}

func TestRouteIgnores(t *testing.T) {
	t.Parallel()
	for _, m := range []kefu.Message{
		by(wangChat, kefu.KindEvent, ""), by(wangChat, kefu.KindEnter, ""), by(wangChat, kefu.KindUnknown, "x"),
		by(kefu.CustomerID{App: "board"}, kefu.KindText, "x"),
	} {
		s, r := open(t)
		if told, d := route(t, r, m); told != "" || d.Reason != kefu.ReasonIgnored || len(s.calls) != 0 {
			t.Errorf("%s: told %q, %+v, calls %q", m.Kind, told, d, s.calls)
		}
	}
}

func TestStranger(t *testing.T) {
	t.Parallel()
	const hello, code = "您好，这里是客服坐席的工作号", "k7pm-2q"
	tests := []struct {
		name    string
		m       kefu.Message
		prepare func(s *stage)
		told    string // beginning
		agent   kefu.AgentID
	}{
		{"writes", by(stranger, kefu.KindText, "你好"), nil, hello, ""},
		{"sends a picture", by(stranger, kefu.KindImage, ""), nil, hello, ""},
		{"follows", by(stranger, kefu.KindFollow, ""), nil, hello, ""},
		{"does not follow any more", by(stranger, kefu.KindUnfollow, ""), nil, "", ""},
		{"sends a code", by(stranger, kefu.KindText, code), func(s *stage) { s.bound.Agent = "zhao" }, "Zhao Yun，绑定成功，您已上线。", "zhao"},
		{"sends a wrong one", by(stranger, kefu.KindText, code), func(s *stage) { s.bound.State = kefu.BindWrong }, "绑定码不正确或已过期", ""},
		{"sends too many", by(stranger, kefu.KindText, code), func(s *stage) { s.bound.State = kefu.BindTooMany }, "尝试次数过多", ""},
		{"sends another's", by(stranger, kefu.KindText, code), func(s *stage) { s.bound = kefu.Bound{State: kefu.BindTaken, Agent: "li"} }, "此微信已绑定坐席李先生", ""},
		{"is an agent elsewhere", by(stranger, kefu.KindText, "你好"), func(s *stage) { s.whose = "given" }, hello, ""},
		{"was an agent once", by(stranger, kefu.KindText, "你好"), func(s *stage) { s.whose = "gone" }, hello, ""},
		{"is an agent, as the board does not know yet", by(stranger, kefu.KindText, "列表"), func(s *stage) { s.whose = "zhao" }, "现在没有进行中的会话。", "zhao"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			told, d := route(t, r, tt.m)
			if !strings.HasPrefix(told, tt.told) || (told == "") != (tt.told == "") || d.Agent != tt.agent {
				t.Errorf("told %q as %q, want %q as %q", told, d.Agent, tt.told, tt.agent)
			}
			want := kefu.ReasonStranger
			if tt.agent != "" {
				want = kefu.ReasonHeard
			}
			if d.Reason != want || d.Degraded {
				t.Errorf("%+v, want reason %s", d, want)
			}
			if first := s.hearings[0]; s.whose == "" && (!first.Silent || first.Target) {
				t.Errorf("heard %+v, want nothing earned and nobody meant", first)
			}
			s.logged(t)
		})
	}
	t.Run("is an agent from then on", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.bound.Agent = "zhao"
		s.heard = []kefu.Heard{{}, {Chat: kefu.Chat{State: kefu.ChatOnline, Until: noon.Add(window)}}}
		route(t, r, by(stranger, kefu.KindText, code))
		want := []kefu.Chat{{Agent: "zhao", ID: stranger, State: kefu.ChatOnline, Until: noon.Add(window)}}
		if diff := cmp.Diff(want, s.announced); diff != "" {
			t.Errorf("announced (-want +got):\n%s", diff)
		}
		if s.chats["zhao"].ID != stranger || strings.Join(s.codes, " ") != "K7PM2Q" || !s.until.Equal(noon.Add(window)) || s.given[0] {
			t.Errorf("chats %+v, codes %q until %v, given %v", s.chats, s.codes, s.until, s.given)
		}
		if earned := s.hearings[1]; earned.Silent || earned.Allowance.AfterMessage != 5 || earned.Key == s.hearings[0].Key {
			t.Errorf("earned by %+v", earned)
		}
	})
}

// The code of an invitation is no word to a customer, however an agent sends it;
// a word that looks like one is.
func TestCodeOfAnAgent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text    string
		prepare func(s *stage)
		told    string
		said    string
	}{
		{"K7PM2Q", nil, "此微信已绑定坐席王小姐，请先由管理员解除绑定。", ""},
		{" k7p-m2q ", nil, "此微信已绑定坐席王小姐，请先由管理员解除绑定。", ""},
		{"#12 K7PM2Q", nil, "此微信已绑定坐席王小姐，请先由管理员解除绑定。", ""},
		{"K7PM2Q", func(s *stage) { s.bound.State = kefu.BindDone }, "王小姐，绑定成功，您已上线。", ""},
		{"K7PM2Q", func(s *stage) { s.bound.State = kefu.BindWrong }, "绑定码不正确或已过期", ""},
		{"K7PM2Q", func(s *stage) { s.err["invited"] = errDown }, trouble, ""},
		{"thanks", nil, "", "thanks"},
		{"#12 thanks", nil, "", "thanks"},
	}
	for _, tt := range tests {
		t.Run(tt.text+" "+tt.told, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.heard, s.invited, s.bound = []kefu.Heard{two()}, "K7PM2Q", kefu.Bound{State: kefu.BindTaken, Agent: "wang"}
			if tt.prepare != nil {
				tt.prepare(s)
			}
			told, _ := route(t, r, write(tt.text))
			if !strings.HasPrefix(told, tt.told) || (told == "") != (tt.told == "") {
				t.Errorf("told %q, want %q", told, tt.told)
			}
			var said []string
			for _, u := range s.said {
				said = append(said, u.Words.Text)
			}
			if got := strings.Join(said, " "); got != tt.said {
				t.Errorf("said %q, want %q", got, tt.said)
			}
			for _, h := range s.hearings {
				if h.Target != (tt.said != "") {
					t.Errorf("heard %+v", h)
				}
			}
		})
	}
}

func TestFollowing(t *testing.T) {
	t.Parallel()
	gone := kefu.Heard{Chat: kefu.Chat{State: kefu.ChatGone}, Opens: []kefu.Open{{Label: 1, Customer: ann}, {Label: 2, Customer: bob}}}
	tests := []struct {
		name    string
		m       kefu.Message
		heard   kefu.Heard
		told    string
		state   kefu.ChatState
		hurried int
	}{
		{"no longer", by(wangChat, kefu.KindUnfollow, ""), gone, "", kefu.ChatGone, 2},
		{"again", by(wangChat, kefu.KindFollow, ""), gone, "王小姐，欢迎回来。", kefu.ChatOffline, 0},
		{"anew", by(wangChat, kefu.KindFollow, ""), kefu.Heard{Chat: kefu.Chat{State: kefu.ChatBusy}}, "王小姐，欢迎回来。", kefu.ChatOnline, 0},
		{"who writes follows", write("列表"), gone, "进行中的会话 2 个：", kefu.ChatOffline, 0},
		{"who goes online follows", write("上线"), gone, "您已上线", kefu.ChatOnline, 0},
		{"who goes offline follows", write("下线"), gone, "您已下线，不再接新会话；还有 2 个", kefu.ChatOffline, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.heard = []kefu.Heard{tt.heard}
			told, d := route(t, r, tt.m)
			if !strings.HasPrefix(told, tt.told) || (told == "") != (tt.told == "") || d.Degraded {
				t.Errorf("told %q, %+v; want %q", told, d, tt.told)
			}
			if got := s.chats["wang"].State; got != tt.state || len(s.hurried) != tt.hurried {
				t.Errorf("state %s, %d hurried; want %s, %d", got, len(s.hurried), tt.state, tt.hurried)
			}
			if event := tt.m.Kind != kefu.KindText; s.hearings[0].Silent != event {
				t.Errorf("heard %+v", s.hearings[0])
			}
		})
	}
}

// What cannot be carried is for nobody, and is told so.
func TestCannot(t *testing.T) {
	t.Parallel()
	for _, kind := range []kefu.Kind{kefu.KindMedia, kefu.KindCard} {
		s, r := open(t)
		told, _ := route(t, r, by(wangChat, kind, ""))
		if told != "只能转发文字和图片，这条没有发出。" || s.hearings[0].Target || len(s.said) != 0 {
			t.Errorf("%s: told %q, heard %+v, said %+v", kind, told, s.hearings[0], s.said)
		}
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	base := kefu.Hearing{
		Chat: wangChat, Key: "h1", At: noon, Said: noon.Add(-time.Second), Idle: 30 * time.Minute, Takeover: 2 * time.Second,
		Allowance: kefu.Allowance{AfterMessage: 5, AfterMessageWindow: window},
	}
	for text, change := range map[string]func(*kefu.Hearing){
		"你好":       func(h *kefu.Hearing) { h.Target, h.Select = true, true },
		"#3 你好":    func(h *kefu.Hearing) { h.Target, h.Select, h.Label = true, true, 3 },
		"#3":       func(h *kefu.Hearing) { h.Target, h.Select, h.Label = true, true, 3 },
		"#3 历史":    func(h *kefu.Hearing) { h.Target, h.Label = true, 3 },
		"结束":       func(h *kefu.Hearing) { h.Target = true },
		"#3 转给 li": func(h *kefu.Hearing) { h.Target, h.Label = true, 3 },
		"#3你好":     func(*kefu.Hearing) {},
		"#3 上线":    func(*kefu.Hearing) {},
		"帮助":       func(*kefu.Hearing) {},
	} {
		s, r := open(t)
		route(t, r, write(text))
		want := base
		change(&want)
		if diff := cmp.Diff(want, s.hearings[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestAnnounces(t *testing.T) {
	t.Parallel()
	s, r := open(t)
	s.heard[0].Announce = true
	s.err["announce"] = errDown
	if told, d := route(t, r, write("帮助")); !strings.HasPrefix(told, "直接回复") || d.Degraded {
		t.Errorf("told %q, %+v; what others do not know does no harm", told, d)
	}
	if !strings.Contains(s.logged(t), "not announced") || len(s.announced) != 1 {
		t.Errorf("announced %+v, log %s", s.announced, s.log.String())
	}
	table := r.Table()
	s.chats["given"] = kefu.Chat{Agent: "given", ID: kefu.CustomerID{App: "board", User: table.Agent("given").Relay.User}}
	route(t, r, by(s.chats["given"].ID, kefu.KindText, "帮助"))
	if !s.given[1] {
		t.Error("a chat that the configuration gives is announced as one that is bound by code")
	}
}

// Whatever breaks, the agent is told; at events there is nobody to tell.
func TestHearingBreaks(t *testing.T) {
	t.Parallel()
	found := kefu.Heard{Chat: kefu.Chat{State: kefu.ChatOnline}, State: kefu.SelectFound, Target: kefu.Open{Label: 1, Customer: ann}}
	gone := kefu.Heard{Chat: kefu.Chat{State: kefu.ChatGone}, Opens: []kefu.Open{{Customer: ann}}}
	tests := []struct {
		name, breaks string
		m            kefu.Message
		heard        kefu.Heard
		told         string
	}{
		{"whose", "whose", by(stranger, kefu.KindText, "x"), kefu.Heard{}, trouble},
		{"hear", "hear", write("x"), kefu.Heard{}, trouble},
		{"bind", "bind", by(stranger, kefu.KindText, "K7PM2Q"), kefu.Heard{}, trouble},
		{"say", "say", write("x"), found, trouble},
		{"close", "end", write("结束"), found, trouble},
		{"leave", "leave", write("结束"), found, trouble},
		{"leave after a transfer", "leave", write("转给 li"), found, trouble},
		{"history", "sayings", write("历史"), found, trouble},
		{"online", "set_state", write("上线"), found, trouble},
		{"announce", "announce", write("下线"), found, trouble},
		{"follows after all", "set_state", write("x"), gone, trouble},
		{"follows", "set_state", by(wangChat, kefu.KindFollow, ""), gone, ""},
		{"unfollows", "set_state", by(wangChat, kefu.KindUnfollow, ""), gone, ""},
		{"whoever waits is not moved", "hurry", by(wangChat, kefu.KindUnfollow, ""), gone, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.heard, s.err[tt.breaks] = []kefu.Heard{tt.heard}, errDown
			if told, d := route(t, r, tt.m); told != tt.told || d.Cause != kefu.CauseStore {
				t.Errorf("told %q for %q; want %q", told, d.Cause, tt.told)
			}
			if len(s.replies) != 0 {
				t.Errorf("replied %+v: its repeat is not heard again", s.replies)
			}
			s.err[tt.breaks] = context.DeadlineExceeded
			if _, d := route(t, r, tt.m); d.Cause != kefu.CauseBudget {
				t.Errorf("late: %q", d.Cause)
			}
			s.logged(t)
		})
	}
	t.Run("the reply is not kept", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.err["reply"] = errDown
		if told, d := route(t, r, write("帮助")); !strings.HasPrefix(told, "直接回复") || d.Degraded {
			t.Errorf("told %q, %+v; it was done all the same", told, d)
		}
	})
	t.Run("panic", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.heard = nil
		told, d := route(t, r, write("my words"))
		if told != trouble || d.Cause != kefu.CausePanic || strings.Contains(d.Err.Error(), "my words") || !strings.Contains(d.Err.Error(), "hear_test.go") {
			t.Errorf("told %q for %q: %v", told, d.Cause, d.Err)
		}
	})
	t.Run("the code is used up, and what it earns is not known", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.bound.Agent = "zhao"
		m := by(stranger, kefu.KindText, "K7PM2Q")
		s.binding = func() { s.err["hear"] = errDown }
		if told, d := route(t, r, m); told != trouble || d.Cause != kefu.CauseStore {
			t.Errorf("told %q for %q", told, d.Cause)
		}
	})
}

func TestHearingRepeats(t *testing.T) {
	t.Parallel()
	found := kefu.Heard{Chat: kefu.Chat{State: kefu.ChatOnline}, State: kefu.SelectFound, Target: kefu.Open{Label: 1, Customer: ann}}
	first := noon.Add(-time.Second)
	t.Run("done", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.heard = []kefu.Heard{{Repeat: true, Done: true, Reply: "told before", First: first}}
		told, d := route(t, r, write("x"))
		if told != "told before" || !d.Repeat || d.Reason != kefu.ReasonRepeat || !d.At.Equal(first) || len(s.said) != 0 || len(s.replies) != 0 {
			t.Errorf("told %q, %+v, said %+v", told, d, s.said)
		}
	})
	t.Run("done without a word", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.heard = []kefu.Heard{{Repeat: true, Done: true, First: first}}
		if told, d := route(t, r, write("x")); told != "" || !d.Repeat {
			t.Errorf("told %q, %+v", told, d)
		}
	})
	t.Run("in work, and done then", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t)
			s.now = time.Now
			s.heard = []kefu.Heard{{Repeat: true, First: time.Now()}}
			looks := 0
			s.reply = func() (string, bool) { looks++; return "told then", looks == 3 }
			start := time.Now()
			if told, d := route(t, r, write("x")); told != "told then" || !d.Repeat || time.Since(start) > 4*hearAgain {
				t.Errorf("told %q after %v, %+v", told, time.Since(start), d)
			}
		})
	})
	t.Run("in work, and the store breaks", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t)
			s.now = time.Now
			s.heard, s.err["heard_reply"] = []kefu.Heard{{Repeat: true, First: time.Now()}}, errDown
			if told, d := route(t, r, write("x")); told != trouble || d.Cause != kefu.CauseStore {
				t.Errorf("told %q for %q", told, d.Cause)
			}
		})
	})
	t.Run("in work, and there is no time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t)
			s.now = time.Now
			s.heard = []kefu.Heard{{Repeat: true, First: time.Now()}}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if d := r.Route(ctx, new(write("x"))); d.Answer.Text != trouble || d.Cause != kefu.CauseBudget {
				t.Errorf("told %q for %q", d.Answer.Text, d.Cause)
			}
		})
	})
	t.Run("whoever heard it died: what he wrote is not lost", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t)
			s.now = time.Now
			s.heard = []kefu.Heard{{Repeat: true, First: time.Now().Add(-time.Second)}, found}
			start := time.Now()
			told, d := route(t, r, write("x"))
			if told != "" || d.Repeat || len(s.said) != 1 || len(s.replies) != 1 {
				t.Errorf("told %q, %+v, said %+v", told, d, s.said)
			}
			if took := time.Since(start); took < time.Second || took > 2*time.Second {
				t.Errorf("took %v, want what was left to the other", took)
			}
			if !s.said[0].At.After(start) || !s.hearings[1].At.After(start) {
				t.Errorf("heard at %v, said at %v: as of then", s.hearings[1].At, s.said[0].At)
			}
		})
	})
}
