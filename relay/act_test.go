package relay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

// two conversations are open, the first of them selected.
func two() kefu.Heard {
	opens := []kefu.Open{
		{Label: 12, Customer: ann, Entry: "cs1", Waiting: noon.Add(-90 * time.Second), Last: noon.Add(-time.Minute), Line: kefu.Words{Text: "有货吗"}, Selected: true},
		{Label: 13, Customer: bob, Entry: "cs2", Last: noon.Add(-time.Hour), Line: kefu.Words{Text: "谢谢"}, Over: true},
	}
	return kefu.Heard{Chat: kefu.Chat{State: kefu.ChatOnline}, State: kefu.SelectFound, Target: opens[0], Opens: opens}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text    string
		prepare func(s *stage)
		told    string
		calls   string // besides hear and reply
	}{
		{"上线", nil, "您已上线，新的会话会分配给您。", "set_state announce"},
		{"下线", nil, "您已下线，不再接新会话；还有 1 个会话请继续答复或发送“结束”。", "set_state announce"},
		{"忙碌", nil, "已设为忙碌，不再接新会话；还有 1 个会话请继续答复。发送“上线”恢复。", "set_state announce"},
		{"列表", nil, "进行中的会话 1 个：\n#12 售前 ← · 1分钟 · 有货吗\n#13 cs2 · 谢谢", ""},
		{"列表", func(s *stage) { s.heard[0].Opens = nil }, "现在没有进行中的会话。", ""},
		{"帮助", nil, kefu.Texts{}.Render(kefu.TextHelp, kefu.TextData{}), ""},
		{"#12你好", nil, "请在编号后加空格再发，这条没有发出：#12 内容", ""},
		{"#12", nil, "现在是会话 #12 售前。", ""},
		{"历史", nil, "会话 #12 没有可显示的记录。", "sayings"},
		{"结束", func(s *stage) { s.left.Only = 13 }, "会话 #12 已结束。现在是会话 #13。", "end leave"},
		{"close", nil, "会话 #12 已结束。", "end leave"},
		{"转给 li", nil, "会话 #12 已转给李先生。", "leave"},
		{"转给李先生", func(s *stage) { s.left.Only = 13 }, "会话 #12 已转给李先生。现在是会话 #13。", "leave"},
		{"转给 nobody", nil, "没有叫“nobody”的坐席或分组。可以转给：presale、李先生、Zhao Yun", ""},
		{"转给", nil, "可以转给：presale、李先生、Zhao Yun", ""},
		{"转给 wang", nil, "没有叫“wang”的坐席或分组。可以转给：presale、李先生、Zhao Yun", ""},
		{"转给 LI", func(s *stage) {
			s.moved = func(kefu.Move) (kefu.Moved, error) { return kefu.Moved{Stays: true, Reason: kefu.ReasonFull}, nil }
		}, "李先生现在不能接（已满），会话 #12 仍在您这里。", ""},
		{"转给 presale", func(s *stage) {
			s.moved = func(kefu.Move) (kefu.Moved, error) { return kefu.Moved{Stays: true, Reason: kefu.ReasonPool}, nil }
		}, "presale现在不能接（没有人能接），会话 #12 仍在您这里。", ""},
		{"转给 li", func(s *stage) {
			s.moved = func(kefu.Move) (kefu.Moved, error) { return kefu.Moved{Changed: true, Agent: "zhao"}, nil }
			s.left.Only = 13
		}, "会话 #12 已不在您这里（已转给Zhao Yun），这条没有发出。现在是会话 #13，要发给 #13 请再发一次。", "opens leave"},
		{"转给 li", func(s *stage) {
			s.moved = func(kefu.Move) (kefu.Moved, error) { return kefu.Moved{Changed: true}, nil }
		}, "会话 #12 已不在您这里（已转到微信客服），这条没有发出。", "opens leave"},
		{"转给 li", func(s *stage) {
			s.moved = func(kefu.Move) (kefu.Moved, error) { return kefu.Moved{}, errDown }
		}, trouble, ""},
		{"你好", nil, "", "say"},
		{"#12 你好", nil, "", "say"},
		{"你好", func(s *stage) { s.say = []kefu.Said{{State: kefu.SaidOwed, Left: 3}} }, "", "say"},
		{"你好", func(s *stage) { s.say = []kefu.Said{{State: kefu.SaidOwed, Left: 2}} }, "已发送，还可回复 2 条。", "say"},
		{"你好", func(s *stage) { s.say = []kefu.Said{{State: kefu.SaidOwed}} }, "已发送，还可回复 0 条。", "say"},
		{"你好", func(s *stage) { s.say = []kefu.Said{{State: kefu.SaidWaits}} }, "客户再次发言之前，微信不允许再发；这条已保留，客户发言后自动发出。", "say"},
		{"你好", func(s *stage) { s.say = []kefu.Said{{State: kefu.SaidTooLate}} }, "没有发出：客户 48 小时内没有再发言，微信不允许再发。", "say"},
		{"", nil, "只能转发文字和图片，这条没有发出。", ""},
	}
	for _, tt := range tests {
		t.Run(tt.text+" "+tt.told, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.heard = []kefu.Heard{two()}
			if tt.prepare != nil {
				tt.prepare(s)
			}
			told, _ := route(t, r, write(tt.text))
			if told != tt.told {
				t.Errorf("told %q, want %q", told, tt.told)
			}
			calls := strings.TrimSuffix(strings.TrimPrefix(strings.Join(s.calls, " "), "hear"), "reply")
			if got := strings.TrimSpace(calls); got != tt.calls {
				t.Errorf("calls %q, want %q", got, tt.calls)
			}
			if told != trouble && (len(s.replies) != 1 || s.replies[0].Reply != told) {
				t.Errorf("replied %+v", s.replies)
			}
		})
	}
}

// Who means nobody says nothing to anybody, whatever he writes.
func TestNobodyIsMeant(t *testing.T) {
	t.Parallel()
	rows := "#12 售前 ← · 1分钟 · 有货吗\n#13 cs2 · 谢谢"
	tests := []struct {
		name string
		set  func(h *kefu.Heard)
		told string
	}{
		{"none", func(h *kefu.Heard) { h.State, h.Opens = kefu.SelectNone, nil }, "现在没有进行中的会话，这条没有发出。"},
		{"many", func(h *kefu.Heard) { h.State = kefu.SelectMany }, "请先选择会话，这条没有发出。回复“#编号 内容”：\n" + rows},
		{"unknown", func(h *kefu.Heard) { h.State = kefu.SelectUnknown }, "没有编号为 #99 的会话，这条没有发出。发送“列表”查看。"},
		{"lost", func(h *kefu.Heard) {
			h.State, h.Lost, h.LostTo, h.Target = kefu.SelectLost, 11, "已转给李先生", kefu.Open{Label: 13, Customer: bob}
		}, "会话 #11 已不在您这里（已转给李先生），这条没有发出。现在是会话 #13，要发给 #13 请再发一次。"},
		{"lost, who knows to whom", func(h *kefu.Heard) { h.State, h.Lost, h.Target = kefu.SelectLost, 11, kefu.Open{} }, "没有编号为 #11 的会话，这条没有发出。发送“列表”查看。"},
	}
	for _, tt := range tests {
		for _, text := range []string{"#99 你好", "#99", "#99 历史", "#99 结束", "#99 转给 li"} {
			t.Run(tt.name+" "+text, func(t *testing.T) {
				t.Parallel()
				s, r := open(t)
				heard := two()
				if tt.set(&heard); heard.State == kefu.SelectNone || heard.State == kefu.SelectMany || heard.State == kefu.SelectUnknown {
					heard.Target = kefu.Open{}
				}
				s.heard = []kefu.Heard{heard}
				if told, _ := route(t, r, write(text)); told != tt.told {
					t.Errorf("told %q, want %q", told, tt.told)
				}
				if got := strings.Join(s.calls, " "); got != "hear reply" || len(s.moves) != 0 {
					t.Errorf("calls %q, moves %+v", got, s.moves)
				}
				if r := s.replies[0]; r.Label != 0 || r.Customer != (kefu.CustomerID{}) {
					t.Errorf("replied %+v, want that he answered nobody", r)
				}
			})
		}
	}
}

func TestSay(t *testing.T) {
	t.Parallel()
	base := kefu.Utterance{Customer: ann, Agent: "wang", Key: "h1", At: noon, Idle: 30 * time.Minute, Keep: time.Hour}
	picture := by(wangChat, kefu.KindImage, "")
	picture.MediaID, picture.URL = "p1", "https://x/0"
	for _, tt := range []struct {
		name string
		m    kefu.Message
		want kefu.Words
	}{
		{"bare", write(" 您好 \n"), kefu.Words{Text: " 您好 \n"}},
		{"with a label", write("#12 您好 \n"), kefu.Words{Text: "您好"}},
		{"a picture", picture, kefu.Words{Text: "https://x/0", Media: kefu.Media{App: "board", ID: "p1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.heard = []kefu.Heard{two()}
			route(t, r, tt.m)
			want := base
			want.Words = tt.want
			if diff := cmp.Diff([]kefu.Utterance{want}, s.said); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
			reply := kefu.Hearsay{Chat: wangChat, Key: "h1", First: noon, At: noon, Label: 12, Customer: ann}
			if diff := cmp.Diff([]kefu.Hearsay{reply}, s.replies); diff != "" {
				t.Errorf("replied (-want +got):\n%s", diff)
			}
		})
	}
}

// A conversation is his a moment after its message has reached him.
func TestSayBeforeItIsSettled(t *testing.T) {
	t.Parallel()
	notHis := kefu.Said{State: kefu.SaidNotHis}
	for _, tt := range []struct {
		name string
		last time.Duration // before now
		say  []kefu.Said
		told string
		says int
	}{
		{"just before", 100 * time.Millisecond, []kefu.Said{notHis, notHis}, "", 3},
		{"never", 100 * time.Millisecond, []kefu.Said{notHis, notHis, notHis, notHis, notHis}, "会话 #12 已不在您这里（已转到微信客服），这条没有发出。", settleTries},
		{"a colleague's", 3 * time.Second, []kefu.Said{{State: kefu.SaidNotHis, Agent: "li"}}, "会话 #12 已不在您这里（已转给李先生），这条没有发出。", 1},
		{"long ago", 3 * time.Second, []kefu.Said{notHis}, "会话 #12 已不在您这里（已转到微信客服），这条没有发出。", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := open(t)
				heard := two()
				heard.Target.Last = noon.Add(-tt.last)
				s.heard, s.say = []kefu.Heard{heard}, tt.say
				told, _ := route(t, r, write("您好"))
				if told != tt.told || len(s.said) != tt.says {
					t.Errorf("told %q after %d tries; want %q after %d", told, len(s.said), tt.told, tt.says)
				}
				if answered := s.replies[0].Label != 0; answered != (tt.told == "") {
					t.Errorf("replied %+v", s.replies[0])
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	s, r := open(t)
	s.heard = []kefu.Heard{two()}
	route(t, r, write("结束"))
	want := kefu.Closing{Customer: ann, Agent: "wang", At: noon, Notice: &kefu.Delivery{
		To: ann, Notice: kefu.NoticeClosed, Entry: "cs1", Agent: "wang", At: noon, Expires: noon.Add(noticeUseful),
	}}
	if diff := cmp.Diff([]kefu.Closing{want}, s.closings); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}
	if l := s.leavings[0]; !l.Keeps || l.Taken || l.To != "" || l.Missed {
		t.Errorf("left %+v, want what nobody has read kept", l)
	}
	mall := two()
	mall.Target.Customer.App = "mall" // says nothing when it ends
	s.heard = []kefu.Heard{mall}
	route(t, r, write("结束"))
	if s.closings[1].Notice != nil {
		t.Errorf("closed %+v, want no notice", s.closings[1])
	}
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]kefu.AgentID{
		"转给 li": {"li"}, "转给 李先生": {"li"}, "转给 presale": {"li", "zhao"}, "转给 PRESALE": {"li", "zhao"}, "转给 Zhao Yun": {"zhao"},
	} {
		s, r := open(t)
		s.heard = []kefu.Heard{two()}
		route(t, r, write(text))
		if diff := cmp.Diff([]kefu.Move{{Customer: ann, From: "wang", To: want, At: noon}}, s.moves); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if l := s.leavings[0]; l.Keeps {
			t.Errorf("left %+v, want what he has not read with the other alone", l)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("长", 300)
	s, r := open(t)
	s.heard = []kefu.Heard{two()}
	for i := range 8 {
		s.sayings = append(s.sayings, kefu.Saying{At: noon, Direction: kefu.FromCustomer, Text: fmt.Sprint(i) + long})
	}
	s.sayings = append(s.sayings, kefu.Saying{At: noon, Direction: kefu.FromAgent, Agent: "li", Picture: true})
	told, _ := route(t, r, write("历史"))
	lines := strings.Split(told, "\n")
	at := noon.In(time.Local).Format("15:04")
	if len(told) > replyBytes || len(lines) != 3 || lines[2] != at+" 李先生：[图片]" || !strings.HasPrefix(lines[0], at+" 客户：6长") {
		t.Errorf("told %d bytes, %q", len(told), lines)
	}
	s.sayings = []kefu.Saying{{At: noon, Direction: kefu.FromCustomer, Text: long + long + long}}
	if told, _ = route(t, r, write("历史")); len(told) > replyBytes+3 || !strings.HasSuffix(told, "长…") {
		t.Errorf("told %d bytes of one that is longer", len(told))
	}
}

func TestListOfMany(t *testing.T) {
	t.Parallel()
	s, r := open(t)
	heard := two()
	for i := range 100 {
		heard.Opens = append(heard.Opens, kefu.Open{
			Label: 20 + i, Customer: ann, Entry: "cs1", Waiting: noon.Add(-time.Duration(i) * time.Hour / 2), Line: kefu.Words{Text: strings.Repeat("长", 30)},
		})
	}
	s.heard = []kefu.Heard{heard}
	told, _ := route(t, r, write("列表"))
	if len(told) > replyBytes || !strings.HasSuffix(told, "\n…") || !strings.HasPrefix(told, "进行中的会话 101 个：\n#12") {
		t.Errorf("told %d bytes: %q", len(told), told)
	}
	heard.State, heard.Target = kefu.SelectMany, kefu.Open{}
	s.heard = []kefu.Heard{heard}
	if told, _ = route(t, r, write("您好")); len(told) > replyBytes {
		t.Errorf("told %d bytes of which to select", len(told))
	}
}

// A conversation in the list: how long its customer has waited, and what he said.
func TestRow(t *testing.T) {
	t.Parallel()
	_, r := open(t)
	own, err := kefu.NewTexts(map[kefu.TextKind]string{
		kefu.TextRow:        "{{if .Selected}}*{{end}}{{.Label}}/{{.Entry}}/{{.Waited}}/{{.Text}}",
		kefu.TextWaited:     "{{.Hours}}h {{.Minutes}}m {{.Seconds}}s",
		kefu.TextUnreadable: "?",
	})
	if err != nil {
		t.Fatal(err)
	}
	open := kefu.Open{Label: 7, Customer: ann, Entry: "cs1", Line: kefu.Words{Text: "有货吗"}}
	row := func(texts kefu.Texts, change func(o *kefu.Open)) string {
		o := open
		change(&o)
		h := hearing{Relay: r, at: noon, texts: texts}
		return h.row(o)
	}
	wait := func(d time.Duration) func(o *kefu.Open) { return func(o *kefu.Open) { o.Waiting = noon.Add(-d) } }
	for _, tt := range []struct {
		name   string
		change func(o *kefu.Open)
		want   string
		own    string
	}{
		{"answered", func(*kefu.Open) {}, "#7 售前 · 有货吗", "7/售前//有货吗"},
		{"selected", func(o *kefu.Open) { o.Selected = true }, "#7 售前 ← · 有货吗", "*7/售前//有货吗"},
		{"a clock that is behind", wait(-time.Hour), "#7 售前 · 0秒 · 有货吗", "7/售前/0h 0m 0s/有货吗"},
		{"seconds", wait(59 * time.Second), "#7 售前 · 59秒 · 有货吗", "7/售前/0h 0m 59s/有货吗"},
		{"a minute", wait(time.Minute), "#7 售前 · 1分钟 · 有货吗", "7/售前/0h 1m 60s/有货吗"},
		{"minutes", wait(59 * time.Minute), "#7 售前 · 59分钟 · 有货吗", "7/售前/0h 59m 3540s/有货吗"},
		{"hours", wait(49 * time.Hour), "#7 售前 · 49小时 · 有货吗", "7/售前/49h 2940m 176400s/有货吗"},
		{"words without a key", func(o *kefu.Open) { o.Line = kefu.Words{Unreadable: true} }, "#7 售前 · [无法解密]", "7/售前//?"},
	} {
		if got := row(kefu.Texts{}, tt.change); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if got := row(own, tt.change); got != tt.own {
			t.Errorf("%s, by texts of its own: %q, want %q", tt.name, got, tt.own)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"abcd", "abcd"}, {"abcde", "abcd…"}, {"好好", "好…"}, {"abc好", "abc…"}, {"\x80\x80\x80\x80\x80\x80", "\x80\x80\x80\x80…"},
	} {
		if got := cut(tt.text, 4); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// The customer is shown that somebody types when his conversation is opened.
func TestTypingOnSelect(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"#12", "历史"} {
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t)
			r.Typist = s
			s.heard = []kefu.Heard{two()}
			route(t, r, write(text))
			if to := <-s.typed; to != ann {
				t.Errorf("%s: shown to %v", text, to)
			}
			r.hints.Wait()
		})
	}
}

func TestPanicErrorTellsNoWords(t *testing.T) {
	t.Parallel()
	err := error(&panicError{what: "my words", stack: []byte("at x.go:1")})
	if got := err.Error(); got != "panic: string\nat x.go:1" {
		t.Errorf("%q", got)
	}
	if !errors.As(err, new(*panicError)) {
		t.Error("is no panicError")
	}
}
