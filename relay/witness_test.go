package relay

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

func TestLinesEnded(t *testing.T) {
	t.Parallel()
	line := func(of kefu.CustomerID, key string) kefu.Line {
		return kefu.Line{ID: "1", Of: of, Label: 3, Entry: "cs1", Ref: "c:" + key, Words: kefu.Words{Text: "hello"}}
	}
	picture := line(ann, "k1")
	picture.Words = kefu.Words{Text: "https://x/0", Media: kefu.Media{App: "shop", ID: "p"}}
	context := line(ann, "")
	context.Ref = ""
	note := kefu.Line{ID: "2", Note: true, Words: kefu.Words{Text: "note"}}
	mark := func(key, state, reason string) kefu.Mark {
		return kefu.Mark{Ref: "c:" + key, State: state, Reason: reason, Keep: time.Hour}
	}
	tests := []struct {
		name      string
		lines     []kefu.Line
		v         kefu.Verdict
		prepare   func(s *stage)
		marks     []kefu.Mark
		hurried   string
		withdrawn int
		notes     []string
	}{
		{
			name: "sent", lines: []kefu.Line{line(ann, "k1"), note, line(bob, "k2"), context}, v: verdict(kefu.OutcomeSent, ""),
			marks: []kefu.Mark{mark("k1", kefu.SayingSent, ""), mark("k2", kefu.SayingSent, "")},
		},
		{
			name: "never will be", lines: []kefu.Line{line(ann, "k1"), note, line(bob, "k2"), context}, v: verdict(kefu.OutcomeBuried, "bad_openid"),
			marks:     []kefu.Mark{mark("k1", kefu.SayingUndeliverable, "bad_openid"), mark("k2", kefu.SayingUndeliverable, "bad_openid")},
			hurried:   "wang " + ann.User + "|wang " + bob.User + "|wang " + ann.User,
			withdrawn: 2,
		},
		{
			name: "the store is down", lines: []kefu.Line{line(ann, "k1"), picture}, v: verdict(kefu.OutcomeBuried, "bad_openid"),
			prepare: func(s *stage) {
				for _, call := range []string{"mark", "withdraw", "hurry", "post"} {
					s.err[call] = errDown
				}
			},
			marks:   []kefu.Mark{mark("k1", kefu.SayingUndeliverable, "bad_openid"), mark("k1", kefu.SayingUndeliverable, "bad_openid")},
			hurried: "wang " + ann.User, withdrawn: 1, notes: []string{"#3 售前 · [图片没有取到] https://x/0"},
		},
		{
			name: "a picture that cannot be had is described", lines: []kefu.Line{picture}, v: verdict(kefu.OutcomeBuried, "bad_media"),
			marks: []kefu.Mark{mark("k1", kefu.SayingUndeliverable, "bad_media")}, notes: []string{"#3 售前 · [图片没有取到] https://x/0"},
		},
		{name: "waits", lines: []kefu.Line{line(ann, "k1")}, v: verdict(kefu.OutcomeWait, "out_of_count")},
		{name: "word that more waits", v: verdict(kefu.OutcomeSent, "")},
		{name: "word that more waits, refused", v: verdict(kefu.OutcomeBuried, "text")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			r.Ended(t.Context(), kefu.Delivery{To: wangChat, Lines: tt.lines, More: len(tt.lines) == 0}, tt.v)
			if diff := cmp.Diff(tt.marks, s.marks); diff != "" {
				t.Errorf("marked (-want +got):\n%s", diff)
			}
			if got := strings.Join(s.hurried, "|"); got != tt.hurried || len(s.withdrawn) != tt.withdrawn {
				t.Errorf("hurried %q, %d withdrawn; want %q, %d", got, len(s.withdrawn), tt.hurried, tt.withdrawn)
			}
			if diff := cmp.Diff(tt.notes, s.notes()); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			s.logged(t)
		})
	}
}

// To whom WeChat takes nothing more is not there, and whoever waits for him is
// brought to somebody else.
func TestShut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		breaks  string
		prepare func(s *stage)
		hurried int
		until   time.Time
	}{
		{"known", "", nil, 1, noon},
		{"nobody's", "", func(s *stage) { delete(s.chats, "wang") }, 0, time.Time{}},
		{"not shut", "shut", nil, 0, noon.Add(window)},
		{"not announced", "announce", nil, 0, noon},
		{"who waits is not known", "opens", nil, 0, noon},
		{"who waits is not moved", "hurry", nil, 1, noon},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.opens = []kefu.Open{{Label: 1, Customer: ann}}
			if tt.prepare != nil {
				tt.prepare(s)
			}
			s.err[tt.breaks] = errDown
			r.Ended(t.Context(), kefu.Delivery{To: wangChat, More: true}, verdict(kefu.OutcomeWait, "not_following"))
			if len(s.hurried) != tt.hurried || !s.chats["wang"].Until.Equal(tt.until) {
				t.Errorf("%d hurried, until %v; want %d, %v", len(s.hurried), s.chats["wang"].Until, tt.hurried, tt.until)
			}
			if warned := strings.Contains(s.logged(t), `"warn"`); warned != (tt.breaks != "") {
				t.Errorf("log: %s", s.log.String())
			}
		})
	}
}

func TestAnswersEnded(t *testing.T) {
	t.Parallel()
	answer := kefu.Delivery{ID: "9a", To: ann, Agent: "wang", Ref: "a:h1", Words: kefu.Words{Text: strings.Repeat("长", 50)}}
	picture := answer
	picture.Words.Media = kefu.Media{App: "board", ID: "p"}
	mark := func(state, reason string) []kefu.Mark {
		return []kefu.Mark{{Ref: "a:h1", State: state, Reason: reason, Keep: time.Hour}}
	}
	short := strings.Repeat("长", 40) + "…"
	tests := []struct {
		name    string
		d       kefu.Delivery
		v       kefu.Verdict
		prepare func(s *stage)
		marks   []kefu.Mark
		told    string
	}{
		{"sent", answer, verdict(kefu.OutcomeSent, ""), nil, mark(kefu.SayingSent, ""), ""},
		{"waits", answer, verdict(kefu.OutcomeWait, "out_of_count"), nil, nil, ""},
		{"too late", answer, verdict(kefu.OutcomeBuried, "out_of_window"), nil, mark(kefu.SayingUndeliverable, "out_of_window"), "会话 #3 的回复没有送达：客户 48 小时内没有再发言，微信不允许再发。内容：" + short},
		{"a picture", picture, verdict(kefu.OutcomeBuried, "too_large"), nil, mark(kefu.SayingUndeliverable, "too_large"), "会话 #3 的回复没有送达：图片无法发送。内容：[图片]"},
		{"the label is not known", answer, verdict(kefu.OutcomeBuried, "x9"), func(s *stage) { s.err["opens"] = errDown }, mark(kefu.SayingUndeliverable, "x9"), "会话 #0 的回复没有送达：系统故障（x9）。内容：" + short},
		{"he has no chat any more", answer, verdict(kefu.OutcomeBuried, "attempts"), func(s *stage) { delete(s.chats, "wang") }, mark(kefu.SayingUndeliverable, "attempts"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.opens = []kefu.Open{{Label: 2, Customer: bob}, {Label: 3, Customer: ann}}
			if tt.prepare != nil {
				tt.prepare(s)
			}
			r.Ended(t.Context(), tt.d, tt.v)
			if diff := cmp.Diff(tt.marks, s.marks); diff != "" {
				t.Errorf("marked (-want +got):\n%s", diff)
			}
			if got := strings.Join(s.notes(), "|"); got != tt.told {
				t.Errorf("told %q, want %q", got, tt.told)
			}
			for _, p := range s.posts {
				if p.Chat != wangChat || p.Key == "" || p.Customer != (kefu.CustomerID{}) {
					t.Errorf("posted %+v; told twice, he reads it once", p)
				}
			}
			if strings.Contains(s.logged(t), "长") {
				t.Error("the log holds words")
			}
		})
	}
}

// Where no transcript is kept, only what went wrong is written down.
func TestMarksWithoutTranscript(t *testing.T) {
	t.Parallel()
	s, r := open(t)
	d := kefu.Delivery{To: kefu.CustomerID{App: "mall", User: "o"}, Agent: "wang", Ref: "a:h1", Words: kefu.Words{Text: "x"}}
	r.Ended(t.Context(), d, verdict(kefu.OutcomeSent, ""))
	d.To.App = "gone"
	r.Ended(t.Context(), d, verdict(kefu.OutcomeSent, ""))
	r.Ended(t.Context(), d, verdict(kefu.OutcomeBuried, "no_app"))
	if diff := cmp.Diff([]kefu.Mark{{Ref: "a:h1", State: kefu.SayingUndeliverable, Reason: "no_app"}}, s.marks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
