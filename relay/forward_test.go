package relay

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kefud/kefu"
)

var (
	held  = kefu.Drawn{State: kefu.DrawHeld}
	done  = kefu.Drawn{State: kefu.DrawDone}
	waits = kefu.Drawn{State: kefu.DrawWait}
	gone  = kefu.Drawn{State: kefu.DrawGone}
)

func verdict(o kefu.Outcome, reason string) kefu.Verdict {
	return kefu.Verdict{Outcome: o, Reason: reason}
}

func TestForward(t *testing.T) {
	t.Parallel()
	postState := func(states ...kefu.PostState) func(kefu.Posting) kefu.Posted {
		return func(kefu.Posting) kefu.Posted {
			return kefu.Posted{State: next(&states, kefu.PostWritten), Last: "last", Label: 1}
		}
	}
	tests := []struct {
		name    string
		prepare func(s *stage)
		want    error
		calls   string
		took    string // lines withdrawn
	}{
		{"sent by itself", func(s *stage) { s.draws = []kefu.Drawn{lane("last")} }, nil, "post draw", ""},
		{"held", func(s *stage) { s.draws = []kefu.Drawn{held} }, nil, "post draw", ""},
		{"sent by another", func(s *stage) { s.draws = []kefu.Drawn{waits, waits, done} }, nil, "post draw draw draw post", ""},
		{"put off for longer than there is time", func(s *stage) {
			s.draws = []kefu.Drawn{{State: kefu.DrawWait, PutOff: true, Due: s.now().Add(5 * time.Second)}}
		}, errUnsent, "post draw withdraw", "last"},
		{"put off for a moment", func(s *stage) {
			s.draws = []kefu.Drawn{{State: kefu.DrawWait, PutOff: true, Due: s.now().Add(time.Second)}, lane("last")}
		}, nil, "post draw draw", ""},
		{"leased for longer than there is time", func(s *stage) {
			s.draws = []kefu.Drawn{{State: kefu.DrawWait, Due: s.now().Add(5 * time.Second)}, lane("last")}
		}, nil, "post draw draw", ""},
		{"others' lines first", func(s *stage) { s.draws = []kefu.Drawn{lane("before"), waits, lane("x", "last")} }, nil, "post draw draw draw", ""},
		{"the last message goes for word that more waits", func(s *stage) { s.draws = []kefu.Drawn{lane(), held} }, nil, "post draw draw", ""},
		{"refused by the chat's state", func(s *stage) { s.post = postState(kefu.PostRefused) }, errRefused, "post", ""},
		{"withdrawn before", func(s *stage) { s.post = postState(kefu.PostWithdrawn) }, errWithdrawn, "post", ""},
		{"no chat", func(s *stage) { delete(s.chats, "wang") }, errNoChat, "", ""},
		{"cannot be written", func(s *stage) { s.err["post"] = errDown }, errDown, "post withdraw", ""},
		{"cannot be drawn", func(s *stage) { s.err["draw"] = errDown }, errDown, "post draw withdraw", "last"},
		{"to be tried again", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane("last")}, []kefu.Verdict{verdict(kefu.OutcomeRetry, "timeout")}
		}, errUnsent, "post draw withdraw", "last"},
		{"to be tried again, others' lines", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane("before")}, []kefu.Verdict{verdict(kefu.OutcomeRetry, "busy")}
		}, errUnsent, "post draw withdraw", "last"},
		{"it has arrived after all", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane("last")}, []kefu.Verdict{verdict(kefu.OutcomeRetry, "timeout")}
			s.kept = true
		}, nil, "post draw withdraw", "last"},
		{"nobody knows whether", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane("last")}, []kefu.Verdict{verdict(kefu.OutcomeRetry, "timeout")}
			s.err["withdraw"] = errDown
		}, errUnsent, "post draw withdraw", "last"},
		{"no more may be sent: held", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane("last"), held}, []kefu.Verdict{verdict(kefu.OutcomeWait, "out_of_count")}
		}, nil, "post draw draw", ""},
		{"he cannot be reached", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane("last")}, []kefu.Verdict{verdict(kefu.OutcomeWait, "not_following")}
		}, errUnsent, "post draw withdraw", "last"},
		{"his time is over", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane()}, []kefu.Verdict{verdict(kefu.OutcomeWait, "out_of_window")}
		}, errUnsent, "post draw withdraw", "last"},
		{"refused for good", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane("last")}, []kefu.Verdict{verdict(kefu.OutcomeBuried, "bad_openid")}
			s.kept = true
		}, errLost, "post draw withdraw", ""},
		{"others' lines refused for good", func(s *stage) {
			s.draws, s.verdicts = []kefu.Drawn{lane("before"), lane("last")}, []kefu.Verdict{verdict(kefu.OutcomeBuried, "text")}
		}, nil, "post draw draw", ""},
		{"taken out with the conversation", func(s *stage) { s.draws = []kefu.Drawn{waits, gone} }, errLost, "post draw draw withdraw", ""},
		{"refused for good, as another saw", func(s *stage) {
			s.draws = []kefu.Drawn{waits, done}
			s.post = postState(kefu.PostWritten, kefu.PostWithdrawn)
		}, errLost, "post draw draw post withdraw", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := open(t)
				tt.prepare(s)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				err := r.Forward(ctx, kefu.Forwarding{Message: customerText("hello"), Entry: "cs1", Agent: "wang", Turn: 7, At: noon})
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("Forward() = %v, want %v", err, tt.want)
				}
				if diff := cmp.Diff(tt.calls, strings.Join(s.calls, " ")); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
				if got := strings.Join(s.withdrawn, " "); got != tt.took {
					t.Errorf("withdrawn %q, want %q", got, tt.took)
				}
				s.logged(t)
			})
		})
	}
}

func TestForwardPosts(t *testing.T) {
	t.Parallel()
	s, r := open(t)
	s.sayings = []kefu.Saying{
		{ID: "1", Direction: kefu.FromCustomer, Text: "1", Ref: "c:k1"},
		{ID: "2", Direction: kefu.FromCustomer, Text: "2", Ref: "c:k2"},
		{ID: "3", Direction: kefu.FromAgent, Agent: "wang", Text: "3", Ref: "a:k3"},
		{ID: "4", Direction: kefu.FromCustomer, Text: "4", Ref: "c:k4"},
		{ID: "5", Direction: kefu.FromAgent, Agent: "gone", Text: "5", Ref: "a:k5"},
		{ID: "6", Direction: kefu.FromCustomer, Picture: true, Media: kefu.Media{App: "shop", ID: "p6"}, Ref: "c:k6"},
		{ID: "7", Direction: kefu.FromCustomer, Text: "hello", Ref: "c:m1"},
	}
	f := kefu.Forwarding{Message: customerText("hello"), Entry: "cs1", Agent: "li", From: "wang", Kept: true, Turn: 7, At: noon}
	if err := r.Forward(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	want := kefu.Posting{
		Chat: liChat, Customer: ann, Key: "m1", Entry: "cs1", At: noon, Idle: 30 * time.Minute, Turn: 7, Last: "hello", Quiet: true, Waits: true, Taken: true,
		Lines: []kefu.Line{
			{Words: kefu.Words{Text: "（王小姐转来的会话）\n客户：2\n王小姐：3\n客户：4\ngone：5\n客户：[图片]"}},
			{Words: kefu.Words{Media: kefu.Media{App: "shop", ID: "p6"}}},
			{Words: kefu.Words{Text: "hello"}, Ref: "c:m1"},
		},
	}
	if diff := cmp.Diff(want, s.posts[0]); diff != "" {
		t.Errorf("posted (-want +got):\n%s", diff)
	}
	s.err["sayings"] = errDown
	if err := r.Forward(t.Context(), f); err != nil || len(s.posts[len(s.posts)-1].Lines) != 2 {
		t.Errorf("without what was said: %v, posted %+v; want the message with its head", err, s.posts[len(s.posts)-1])
	}
	if !strings.Contains(s.logged(t), "not read") {
		t.Errorf("log: %s", s.log.String())
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	_, r := open(t)
	picture := kefu.Media{App: "shop", ID: "p"}
	long := strings.Repeat("好", 700) // of 3 bytes
	tests := []struct {
		name string
		m    kefu.Message
		want []kefu.Line
	}{
		{"text", kefu.Message{Kind: kefu.KindText, Text: " 有货吗\n"}, []kefu.Line{{Words: kefu.Words{Text: " 有货吗\n"}}}},
		{"nothing", kefu.Message{Kind: kefu.KindText}, []kefu.Line{{}}},
		{"long", kefu.Message{Kind: kefu.KindText, Text: long}, []kefu.Line{
			{Words: kefu.Words{Text: strings.Repeat("好", 533)}}, {Words: kefu.Words{Text: strings.Repeat("好", 167)}, Part: true},
		}},
		{"no text at all", kefu.Message{Kind: kefu.KindText, Text: strings.Repeat("\x80", partBytes+1)}, []kefu.Line{
			{Words: kefu.Words{Text: strings.Repeat("\x80", partBytes)}}, {Words: kefu.Words{Text: "\x80"}, Part: true},
		}},
		{"picture", kefu.Message{Kind: kefu.KindImage, MediaID: "p", URL: "https://x/0"}, []kefu.Line{
			{Words: kefu.Words{Text: "[图片]"}}, {Words: kefu.Words{Text: "https://x/0", Media: picture}},
		}},
		{"card", kefu.Message{Kind: kefu.KindCard, Title: "T", Page: "pages/a?b=1", MediaID: "p"}, []kefu.Line{
			{Words: kefu.Words{Text: "[小程序卡片] T\n路径：pages/a?b=1"}}, {Words: kefu.Words{Media: picture}},
		}},
		{"card without a picture", kefu.Message{Kind: kefu.KindCard, Title: "T"}, []kefu.Line{{Words: kefu.Words{Text: "[小程序卡片] T"}}}},
		{"voice", kefu.Message{Kind: kefu.KindMedia, Type: "voice", MediaID: "p"}, []kefu.Line{{Words: kefu.Words{Text: "[语音，无法转发]"}}}},
		{"what nobody knows", kefu.Message{Kind: kefu.KindMedia, Type: "hologram"}, []kefu.Line{{Words: kefu.Words{Text: "[消息，无法转发]"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.m.Customer, tt.m.Key = ann, "m1"
			for i := range tt.want {
				tt.want[i].Ref = "c:m1"
			}
			if diff := cmp.Diff(tt.want, r.describe("board", tt.m)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// However slow what it asks is, Forward comes back before its caller's time is
// over, and has tried to take the message back.
func TestForwardIsInTime(t *testing.T) {
	t.Parallel()
	forever := func(s *stage) func(ctx context.Context) kefu.Verdict {
		return func(ctx context.Context) kefu.Verdict {
			<-ctx.Done()
			s.mu.Lock()
			s.draws = []kefu.Drawn{waits}
			s.mu.Unlock()
			return verdict(kefu.OutcomeRetry, "timeout")
		}
	}
	many := make([]kefu.Drawn, 10_000)
	for i := range many {
		many[i] = waits
	}
	for _, tt := range []struct {
		name    string
		budget  time.Duration
		prepare func(s *stage)
	}{
		{"another never ends", 2 * time.Second, func(s *stage) { s.draws = many }},
		{"WeChat does not answer", 2 * time.Second, func(s *stage) { s.draws, s.deliver = []kefu.Drawn{lane("last")}, forever(s) }},
		{"little time", 100 * time.Millisecond, func(s *stage) { s.draws = many }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := open(t)
				tt.prepare(s)
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), tt.budget)
				defer cancel()
				err := r.Forward(ctx, kefu.Forwarding{Message: customerText("hello"), Entry: "cs1", Agent: "wang", At: noon})
				if err == nil {
					t.Error("Forward() = nil, want an error")
				}
				if took := time.Since(start); took >= tt.budget || took < tt.budget/3 {
					t.Errorf("took %v of %v", took, tt.budget)
				}
				if strings.Join(s.withdrawn, " ") != "last" || ctx.Err() != nil {
					t.Errorf("withdrawn %q with %v, want it withdrawn in time", s.withdrawn, ctx.Err())
				}
			})
		})
	}
}

// Who waits for the moment in which a burst is joined looks again when that is over.
func TestNextLook(t *testing.T) {
	t.Parallel()
	for due, want := range map[time.Duration]time.Duration{
		-time.Hour: pollLeast, 0: pollLeast, 200 * time.Millisecond: 200 * time.Millisecond, dueSoon: dueSoon, 5 * time.Second: pollMost,
	} {
		if got := nextLook(due); got != want {
			t.Errorf("due in %v: looks after %v, want %v", due, got, want)
		}
	}
}

// The customer is shown that his agent types while the agent is at it, and never
// by more at once than there is room for.
func TestTyping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := open(t)
		r.Typist = s
		f := kefu.Forwarding{Message: customerText("hello"), Entry: "cs1", Agent: "wang", At: noon}
		forward := func() {
			t.Helper()
			if err := r.Forward(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		shown := func() int {
			n := 0
			for {
				select {
				case <-s.typed:
					n++
				default:
					return n
				}
			}
		}
		forward()
		if n := shown(); n != 0 {
			t.Errorf("shown %d times by an agent who has not written", n)
		}
		r.seen.note("wang", noon.Add(-attentive))
		forward()
		if n := shown(); n != 1 {
			t.Errorf("shown %d times, want once", n)
		}
		for range hintsAtOnce + 5 {
			forward()
		}
		if n := shown(); n != hintsAtOnce {
			t.Errorf("shown %d times at once, want %d", n, hintsAtOnce)
		}
		r.seen.note("wang", noon.Add(-attentive-1))
		forward()
		if n := shown(); n != 0 {
			t.Errorf("shown %d times by an agent who wrote long ago", n)
		}
		r.seen.note("wang", noon)
		s.draws = []kefu.Drawn{held}
		forward()
		if n := shown(); n != 0 {
			t.Errorf("shown %d times of what is held", n)
		}
		forward() // nobody takes it: it ends by itself
		r.hints.Wait()
	})
}

func TestHandover(t *testing.T) {
	t.Parallel()
	said := []kefu.Saying{
		{ID: "1-0", Direction: kefu.FromCustomer, Text: "a", Ref: "c:1"},
		{ID: "2-0", Direction: kefu.FromAgent, Agent: "wang", Text: "b"},
		{ID: "3-0", Direction: kefu.FromCustomer, Text: "c", Ref: "c:3"},
		{ID: "4-0", Direction: kefu.FromCustomer, Picture: true, Media: kefu.Media{App: "shop", ID: "p"}, Ref: "c:4"},
	}
	text := func(s string) kefu.Line { return kefu.Line{Words: kefu.Words{Text: s}} }
	picture := kefu.Line{Words: kefu.Words{Media: kefu.Media{App: "shop", ID: "p"}}}
	tests := []struct {
		name    string
		prepare func(s *stage)
		after   string
		lines   []kefu.Line
		last    string // words
		want    string
		err     error
	}{
		{"all", nil, "", []kefu.Line{text("（王小姐转来的会话）\n客户：a\n王小姐：b\n客户：c\n客户：[图片]"), picture}, "", "4-0", nil},
		{"nothing was said", func(s *stage) { s.sayings = nil }, "", []kefu.Line{text("（王小姐转来的会话）")}, "", nothingSaid, nil},
		{"nothing since", nil, "4-0", nil, "", "4-0", nil},
		{"since", nil, "1-0", []kefu.Line{text("c"), text("[图片]"), picture}, "[图片]", "4-0", nil},
		{"since nothing was said", nil, nothingSaid, []kefu.Line{text("a"), text("c"), text("[图片]"), picture}, "[图片]", "4-0", nil},
		{"nothing at all", func(s *stage) { s.sayings = nil }, nothingSaid, nil, "", nothingSaid, nil},
		{"no chat", func(s *stage) { delete(s.chats, "li") }, "", nil, "", "", errNoChat},
		{"what was said is not known", func(s *stage) { s.err["sayings"] = errDown }, "", nil, "", "", errDown},
		{"not written", func(s *stage) { s.err["post"] = errDown }, "1-0", []kefu.Line{text("c"), text("[图片]"), picture}, "[图片]", "", errDown},
		{"refused", func(s *stage) {
			s.post = func(kefu.Posting) kefu.Posted { return kefu.Posted{State: kefu.PostRefused} }
		}, "", []kefu.Line{text("（王小姐转来的会话）\n客户：a\n王小姐：b\n客户：c\n客户：[图片]"), picture}, "", "", errRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.sayings = said
			if tt.prepare != nil {
				tt.prepare(s)
			}
			got, err := r.Handover(t.Context(), kefu.Handover{Customer: ann, Entry: "cs1", Agent: "li", From: "wang", At: noon, After: tt.after})
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Handover() = %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
			var want []kefu.Posting
			if tt.lines != nil {
				want = []kefu.Posting{{
					Chat: liChat, Customer: ann, Entry: "cs1", At: noon, Idle: 30 * time.Minute, Lines: tt.lines, Last: tt.last, Waits: true, Taken: tt.after != "",
				}}
			}
			ignore := cmpopts.IgnoreFields(kefu.Posting{}, "Last")
			if tt.after != "" {
				ignore = nil
			}
			opts := cmp.Options{}
			if ignore != nil {
				opts = append(opts, ignore)
			}
			if diff := cmp.Diff(want, s.posts, opts); diff != "" {
				t.Errorf("posted (-want +got):\n%s", diff)
			}
			if log := s.logged(t); (log != "") != (tt.after != "" && tt.err != nil) {
				t.Errorf("log: %q", log)
			}
		})
	}
}

func TestLeave(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		to      kefu.AgentID
		missed  bool
		left    kefu.Left
		prepare func(s *stage)
		word    string
		notes   []string
		state   kefu.ChatState
	}{
		{"to another", "li", false, kefu.Left{Label: 3}, nil, "已转给李先生", nil, kefu.ChatOnline},
		{"to the desk", "", false, kefu.Left{Label: 3}, nil, "已转到微信客服", nil, kefu.ChatOnline},
		{"missed", "li", true, kefu.Left{Label: 3, Misses: 1}, nil, "已转给李先生", []string{"会话 #3 2 分钟没有答复，已转给李先生。"}, kefu.ChatOnline},
		{"missed, to nobody", "", true, kefu.Left{Label: 3, Misses: 1}, nil, "已转到微信客服", []string{"会话 #3 2 分钟没有答复，已不在您这里。"}, kefu.ChatOnline},
		{"missed what he never had", "li", true, kefu.Left{Misses: 3}, nil, "已转给李先生", nil, kefu.ChatOnline},
		{"missed twice", "li", true, kefu.Left{Label: 3, Misses: 2}, nil, "已转给李先生", []string{"会话 #3 2 分钟没有答复，已转给李先生。", "您连续两次没有答复，已设为忙碌"}, kefu.ChatBusy},
		{"missed twice, offline", "li", true, kefu.Left{Label: 3, Misses: 2}, func(s *stage) {
			s.chats["wang"] = kefu.Chat{Agent: "wang", ID: wangChat, State: kefu.ChatOffline}
		}, "已转给李先生", []string{"会话 #3 2 分钟没有答复，已转给李先生。"}, kefu.ChatOffline},
		{"not taken out", "li", true, kefu.Left{}, func(s *stage) { s.err["leave"] = errDown }, "已转给李先生", nil, kefu.ChatOnline},
		{"not set busy", "li", true, kefu.Left{Label: 3, Misses: 2}, func(s *stage) { s.err["set_state"] = errDown }, "已转给李先生", []string{"会话 #3 2 分钟没有答复，已转给李先生。"}, kefu.ChatOnline},
		{"no chat any more", "li", true, kefu.Left{Label: 3, Misses: 2}, func(s *stage) { delete(s.chats, "wang") }, "", nil, kefu.ChatOffline},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t)
			s.left = tt.left
			if tt.prepare != nil {
				tt.prepare(s)
			}
			r.Leave(t.Context(), kefu.Handover{Customer: ann, Entry: "cs1", Agent: tt.to, From: "wang", At: noon}, tt.missed)
			var words []string
			for _, l := range s.leavings {
				words = append(words, l.To)
				if !l.Taken || l.Missed != tt.missed || l.Chat != wangChat || l.Customer != ann || l.Keeps != (tt.to == "") {
					t.Errorf("left %+v", l)
				}
			}
			if got := strings.Join(words, "|"); got != tt.word {
				t.Errorf("word %q, want %q", got, tt.word)
			}
			// Both may come in one message.
			got, want := strings.Join(s.notes(), "\n"), strings.Join(tt.notes, "\n")
			if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
				t.Errorf("told %q, want %q", got, want)
			}
			if got := s.chats["wang"].State; got != tt.state {
				t.Errorf("he is %s, want %s", got, tt.state)
			}
			s.logged(t)
		})
	}
	t.Run("of an entry that is gone", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.left = kefu.Left{Label: 3}
		for _, h := range []kefu.Handover{{Customer: ann, Entry: "gone", From: "wang"}, {Customer: kefu.CustomerID{App: "gone", User: "o"}, From: "wang"}} {
			r.Leave(t.Context(), h, true)
		}
		if got := len(s.notes()); got != 2 {
			t.Errorf("told %d times, want 2", got)
		}
	})
}
