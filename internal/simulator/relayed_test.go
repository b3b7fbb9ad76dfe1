package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A relay is a world whose agents chat with a second account, the board.
type relay struct {
	*world
	board *Account
	chats map[string]*Customer
}

// newRelay makes a relay with agents who have just written, whose server takes
// every message, so that it is the test that plays the server's sending.
func newRelay(t *testing.T, o Options, agents ...string) *relay {
	t.Helper()
	w := &relay{world: newWorld(t, o, account()), chats: make(map[string]*Customer)}
	w.server.answer = success
	second := board()
	second.AppID, second.Switchboard = "wxboard", true
	second.Allowance.AfterMessage = 1000
	var err error
	if w.board, err = w.AddAccount(second); err != nil {
		t.Fatal(err)
	}
	for _, name := range agents {
		c := w.Customer(w.board, "oAgent"+name)
		c.SetName(name)
		say(t, c, "上线")
		w.chats[name] = c
	}
	return w
}

func (w *relay) boardToken(t *testing.T) string {
	t.Helper()
	return at[string](t, w.call(t, http.MethodPost, "/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"wxboard","secret":"secret"}`), "access_token")
}

// give sends a text to an agent's chat.
func (w *relay) give(t *testing.T, agent, text string) {
	t.Helper()
	w.send(t, agent, "text", map[string]string{"content": text})
}

func (w *relay) send(t *testing.T, agent, kind string, content map[string]string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"touser": "oAgent" + agent, "msgtype": kind, kind: content})
	if err != nil {
		t.Fatal(err)
	}
	if out := w.call(t, http.MethodPost, sendPath+"?access_token="+w.boardToken(t), string(body)); code(out) != 0 {
		t.Fatalf("send %q: %v", content, out)
	}
}

// picture uploads a picture to the board, as the server does with what it fetched.
func (w *relay) picture(t *testing.T, picture []byte) string {
	t.Helper()
	return at[string](t, w.upload(t, "type=image&access_token="+w.boardToken(t), form{"media", "a.jpg", "image/jpeg", string(picture)}), "media_id")
}

// long is a text that goes over several messages, of n different lines.
func long(n int) string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("第%d行：订单里的杯子收到时是碎的，麻烦看一下", i)
	}
	return strings.Join(lines, "\n")
}

func TestRelayed(t *testing.T) {
	t.Parallel()
	cut := func(text string, from, to int) string { return string([]rune(text)[from:to]) }
	text, other := long(60), long(61)
	end := len([]rune(text))
	one, two, three := cut(text, 0, 450), cut(text, 450, 900), cut(text, 900, end)
	lines := strings.SplitAfter(text, "\n")
	top, bottom := strings.TrimSpace(strings.Join(lines[:30], "")), strings.Join(lines[30:], "")
	tests := []struct {
		name  string
		says  []string
		gives []string // to li
		want  string   // the fates, by their first letter
	}{
		{"a text", []string{"在吗"}, []string{"#1 cs1 · 在吗"}, "r"},
		{"nothing", []string{"在吗"}, nil, "l"},
		{"another text", []string{"在吗"}, []string{"#1 cs1 · 在"}, "l"},
		{"a longer one", []string{"在吗"}, []string{"#1 cs1 · 在吗？"}, "l"},
		{"the end of a longer one", []string{"在吗"}, []string{"#1 cs1 · 有人在吗"}, "l"},
		{"without a header", []string{"在吗"}, []string{"在吗"}, "l"},
		{"an entry of several words", []string{"在吗"}, []string{"#12 售前 客服 · 在吗"}, "r"},
		{"no entry", []string{"在吗"}, []string{"#12 · 在吗"}, "r"},
		{"a mark", []string{"在吗"}, []string{"#1 cs1 · （可能重复）在吗"}, "r"},
		{"a mark before the header", []string{"在吗"}, []string{"（可能重复）#1 cs1 · 在吗"}, "r"},
		{"a hint", []string{"在吗"}, []string{"#1 cs1 · 在吗\n（回复 #1 切换）"}, "r"},
		{"white space and control characters", []string{" a\r\nb\x01 "}, []string{"#1 cs1 · a\nb"}, "r"},
		{"several lines", []string{"在吗\n急"}, []string{"#1 cs1 · 在吗\n急\n（回复 #1 切换）"}, "r"},
		{"half of the lines", []string{"在吗\n急"}, []string{"#1 cs1 · 在吗"}, "l"},
		{"joined", []string{"在吗", "急"}, []string{"#1 cs1 · 在吗\n#1 cs1 · 急"}, "rr"},
		{"joined below one header", []string{"在吗！", "急"}, []string{"#1 cs1 · 在吗！\n急"}, "rr"},
		{"joined, with hints and marks", []string{"在吗", "急\n急", "多久"}, []string{"（新）#1 cs1 · 在吗\n提示\n#1 cs1 · （重复）急\n急\n提示\n#2 cs2 · 多久\n提示"}, "rrr"},
		{"what looks like a header", []string{"a\n#2 cs2 · b", "b"}, []string{"#1 cs1 · a\n#2 cs2 · b"}, "rl"},
		{"in the middle of a line", []string{"看 #12 单 · 急", "急"}, []string{"#1 cs1 · 看 #12 单 · 急"}, "rl"},
		{"one in the other", []string{"在", "在吗"}, []string{"#1 cs1 · 在吗"}, "lr"},
		{"the same twice, given once", []string{"在吗", "在吗"}, []string{"#1 cs1 · 在吗"}, "rl"},
		{"the same twice, given twice", []string{"在吗", "在吗"}, []string{"#1 cs1 · 在吗", "#1 cs1 · 在吗"}, "rr"},
		{"split", []string{text}, []string{"#1 cs1 · " + one, "#1 cs1 · " + two, "#1 cs1 · " + three}, "r"},
		{"split, the parts numbered", []string{text}, []string{"#1 cs1 · (1/3) " + one + "…", "#1 cs1 · (2/3) " + two + "…", "#1 cs1 · (3/3) " + three + "\n提示"}, "r"},
		{"split, headed once", []string{text}, []string{"#1 cs1 · " + one, two, three}, "r"},
		{"split, others between", []string{text, "急"}, []string{"#1 cs1 · " + one, "#2 cs2 · 急", "#2 cs2 · 别的", "#1 cs1 · " + two, "小红 走了", "#1 cs1 · " + three}, "rr"},
		{"split at a line break", []string{text}, []string{"#1 cs1 · " + top, "#1 cs1 · " + bottom}, "r"},
		{"a part is missing", []string{text}, []string{"#1 cs1 · " + one, "#1 cs1 · " + three}, "l"},
		{"the end is missing", []string{text}, []string{"#1 cs1 · " + one, "#1 cs1 · " + two, "#1 cs1 · " + three[:len(three)-3]}, "l"},
		{"the beginning is missing", []string{text}, []string{"#1 cs1 · " + two, "#1 cs1 · " + three}, "l"},
		{"parts under two labels", []string{text}, []string{"#1 cs1 · " + one, "#2 cs1 · " + two, "#1 cs1 · " + three}, "l"},
		{"split twice over", []string{text, other}, []string{"#1 cs1 · " + one, "#1 cs1 · " + two, "#1 cs1 · " + three, "#2 cs1 · " + cut(other, 0, 600), "#2 cs1 · " + cut(other, 600, 1100), "#2 cs1 · " + cut(other, 1100, len([]rune(other)))}, "rr"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, when := range []string{"before the answer", "after it"} {
				w := newRelay(t, Options{}, "li")
				c := w.Customer(w.account, "oCustomer")
				give := func() {
					for _, text := range tt.gives {
						w.give(t, "li", text)
					}
				}
				var pushes []*Push
				for i, text := range tt.says {
					p := c.Text(text)
					pushes = append(pushes, p)
					if i == len(tt.says)-1 && when == "before the answer" {
						w.server.answer = func(r *http.Request, h heard) answer {
							if h.text("Content") != "" {
								give()
							}
							return success(r, h)
						}
					}
					send(t, p)
				}
				if when == "after it" {
					w.want(t, c, strings.Split(strings.Repeat("lost,", len(tt.says)), ",")[:len(tt.says)]...)
					give()
				}
				got := ""
				for i, r := range c.Reached() {
					got += string(r.Fate[0])
					if (r.Fate == FateRelayed) != (r.Agent == "li") || (r.Agent == "li") != (len(pushes[i].Chats()) == 1) {
						t.Errorf("%s: %+v, had by %v", when, r, pushes[i].Chats())
					}
				}
				if got != tt.want {
					t.Errorf("%s: %s, want %s", when, got, tt.want)
				}
				if faults := w.Faults(); len(faults) > 0 {
					t.Errorf("%s: %v", when, faults)
				}
			}
		})
	}
}

func TestRelayedPictures(t *testing.T) {
	t.Parallel()
	const had = "relayed li"
	tests := []struct {
		name  string
		gives []string // image, thumb and other are pictures; what begins with # is a text, the rest are links
		want  []string // of the image and the card
	}{
		{"the picture", []string{"image"}, []string{had, "lost"}},
		{"another picture", []string{"other"}, []string{"lost", "lost"}},
		{"words about it", []string{"#1 cs1 · [图片]"}, []string{"lost", "lost"}},
		{"the thumb", []string{"thumb"}, []string{"lost", had}},
		{"the title", []string{"#1 cs1 · [小程序] 杯子 pages/cup"}, []string{"lost", had}},
		{"another title", []string{"#1 cs1 · [小程序] 盘子 pages/cup"}, []string{"lost", "lost"}},
		{"the title of a link", []string{"杯子"}, []string{"lost", had}},
		{"both, and the title", []string{"image", "thumb", "#1 cs1 · 杯子"}, []string{had, had}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newRelay(t, Options{}, "li")
			c := w.Customer(w.account, "oCustomer")
			image, card := c.Image(), c.Card("杯子", "pages/cup")
			send(t, image)
			send(t, card)
			pictures := map[string][]byte{"other": []byte("\xff\xd8\xff\xe0")}
			pictures["image"], _ = w.account.MediaBytes(image.fields.text("MediaId"))
			pictures["thumb"], _ = w.account.MediaBytes(card.fields.text("ThumbMediaId"))
			for _, give := range tt.gives {
				switch {
				case pictures[give] != nil:
					w.send(t, "li", "image", map[string]string{"media_id": w.picture(t, pictures[give])})
				case give[0] == '#':
					w.give(t, "li", give)
				default:
					w.send(t, "li", "link", map[string]string{"title": give, "description": "d", "url": "u", "thumb_url": "t"})
				}
			}
			w.want(t, c, tt.want...)
		})
	}
}

func TestRelayedToTwo(t *testing.T) {
	t.Parallel()
	w := newRelay(t, Options{}, "li", "wang")
	c := w.Customer(w.account, "oCustomer")
	p := c.Text("在吗")
	send(t, p)
	w.give(t, "wang", "#1 cs1 · 在吗")
	w.give(t, "li", "#3 cs1 · （转来）在吗")
	w.give(t, "li", "#3 cs1 · （可能重复）在吗")
	w.want(t, c, "relayed wang")
	if diff := cmp.Diff([]string{"wang", "li"}, p.Chats()); diff != "" {
		t.Error(diff)
	}
}

func TestRelayedToWhomTheLabelSays(t *testing.T) {
	t.Parallel()
	w := newRelay(t, Options{}, "li")
	one, two := w.Customer(w.account, "oOne"), w.Customer(w.account, "oTwo")
	for _, c := range []*Customer{one, two} {
		say(t, c, "我是"+c.OpenID())
		say(t, c, "在吗")
	}
	w.give(t, "li", "#1 cs1 · 我是oOne\n#2 cs1 · 我是oTwo")
	w.give(t, "li", "#2 cs1 · 在吗")
	w.want(t, one, "relayed li", "lost")
	w.want(t, two, "relayed li", "relayed li")
	w.give(t, "li", "#2 cs1 · 在吗") // a repeat, or the label is another's now: nobody can tell
	w.want(t, one, "relayed li", "relayed li")
	w.give(t, "li", "#1 cs1 · 在吗")
	w.want(t, two, "relayed li", "relayed li")
}

// A transferred message is at the desk, a failed one has failed, whatever a chat has.
func TestOtherFatesStay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer func(*http.Request, heard) answer
		want   string
	}{
		{"transfer", transfer(""), "queued"},
		{"fault", func(*http.Request, heard) answer { return answer{status: 500} }, "fault"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newRelay(t, Options{}, "li")
			w.server.answer = tt.answer
			c := w.Customer(w.account, "oCustomer")
			p := c.Text("在吗")
			w.give(t, "li", "#1 cs1 · 在吗")
			if len(p.Chats()) > 0 {
				t.Error("it was had before it was said")
			}
			send(t, p)
			w.give(t, "li", "#1 cs1 · 在吗")
			w.want(t, c, tt.want)
			if len(p.Chats()) != 1 {
				t.Errorf("had by %v", p.Chats())
			}
		})
	}
}

func TestPendingUntilAnswered(t *testing.T) {
	t.Parallel()
	w := newRelay(t, Options{}, "li")
	c := w.Customer(w.account, "oCustomer")
	w.server.answer = func(r *http.Request, h heard) answer {
		w.give(t, "li", "#1 cs1 · 在吗")
		w.want(t, c, "pending")
		return success(r, h)
	}
	if r := say(t, c, "在吗"); r.Reach.Fate != FateRelayed || r.Reach.Agent != "li" {
		t.Errorf("reach = %+v", r.Reach)
	}
}

func TestWordsOfAgents(t *testing.T) {
	t.Parallel()
	w := newRelay(t, Options{}, "li")
	w.server.answer = func(r *http.Request, h heard) answer {
		switch h.text("Content") {
		case "列表":
			return h.seal(append(replace(h.transfer(), "MsgType", "text"), Field{"Content", "#1 cs1 · 在吗"}))
		case "坏":
			return answer{status: 500}
		}
		return success(r, h)
	}
	c, li := w.Customer(w.account, "oCustomer"), w.chats["li"]
	say(t, c, "在吗")
	say(t, li, "列表")
	send(t, li.Image())
	w.want(t, li, "none", "none", "none") // with 上线
	w.want(t, c, "lost")                  // what a passive text tells is not a relayed message
	want := Accounted{Customers: 1, Alone: 1, Messages: 1, Lost: 1, Words: 3, Pushes: 4}
	if diff := cmp.Diff(want, w.Accounted()); diff != "" {
		t.Error(diff)
	}
	w.give(t, "li", "#1 cs1 · 在吗")
	want = Accounted{Customers: 1, Messages: 1, Reached: 1, Relayed: 1, Words: 3, Pushes: 4}
	sum := w.Accounted()
	if diff := cmp.Diff(want, sum); diff != "" || !sum.Well() || !sum.AddsUp() {
		t.Errorf("%+v\n%s", sum, diff)
	}
	var out strings.Builder
	if err := sum.Print(&out); err != nil || !strings.Contains(out.String(), "0 past the server, 1 by relay") || !strings.Contains(out.String(), "what agents wrote at switchboards") {
		t.Errorf("%v\n%s", err, out.String())
	}
	say(t, li, "坏")
	if sum = w.Accounted(); sum.WordFaults != 1 || sum.Alone != 0 || sum.Well() {
		t.Errorf("%+v", sum)
	}
}

func TestAllowanceOfAnAgentsChat(t *testing.T) {
	t.Parallel()
	w := newRelay(t, Options{})
	few := board()
	few.Name, few.AppID, few.OriginalID, few.Secret, few.Switchboard = "few", "wxfew", "gh_few", "secret", true
	a, err := w.AddAccount(few)
	if err != nil {
		t.Fatal(err)
	}
	li := w.Customer(a, "oLi")
	try := func(want ...int) {
		t.Helper()
		token := at[string](t, w.call(t, http.MethodPost, "/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"wxfew","secret":"secret"}`), "access_token")
		for i, want := range want {
			if got := w.text(t, token, "oLi", "#1 cs1 · 在吗"); got != want {
				t.Errorf("message %d: %d, want %d", i, got, want)
			}
		}
	}
	try(45015)
	say(t, li, "上线")
	try(0, 0, 0, 0, 0, 45047)
	w.clock.pass(few.withDefaults().Allowance.MessageWindow + 1)
	try(45015)
	if len(li.Inbox()) != 5 {
		t.Errorf("he has %d messages", len(li.Inbox()))
	}
}

func TestRelayIsTold(t *testing.T) {
	t.Parallel()
	var told []string
	w := newRelay(t, Options{OnEvent: func(e Event) {
		switch e.Kind {
		case Said, Delivered, Relayed:
			told = append(told, e.String())
		default:
		}
	}}, "li")
	c := w.Customer(w.account, "oCustomer")
	say(t, c, "在吗")
	w.give(t, "li", "#1 cs1 · 在吗")
	image := c.Image()
	send(t, image)
	picture, _ := w.account.MediaBytes(image.fields.text("MediaId"))
	w.send(t, "li", "image", map[string]string{"media_id": w.picture(t, picture)})
	say(t, w.chats["li"], "在的")
	w.text(t, w.token(t), "oCustomer", "在的")
	want := []string{
		"board oAgentli said li 上线",
		"shop oCustomer said 在吗",
		"board oAgentli delivered li #1 cs1 · 在吗",
		"shop oCustomer relayed li 在吗",
		"shop oCustomer said [image]",
		"board oAgentli delivered li [image]",
		"shop oCustomer relayed li [image]",
		"board oAgentli said li 在的",
		"shop oCustomer delivered 在的",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	w := newRelay(t, Options{}, "li")
	c := w.Customer(w.account, "oCustomer")
	if c.Name() != "oCustomer" || w.chats["li"].Name() != "li" {
		t.Errorf("names %q, %q", c.Name(), w.chats["li"].Name())
	}
	if w.account.Switchboard() || !w.board.Switchboard() {
		t.Error("which is the switchboard?")
	}
}

func TestNothingGetsLostInLongChats(t *testing.T) {
	t.Parallel()
	w := newRelay(t, Options{}, "li")
	w.server.answer = func(r *http.Request, h heard) answer {
		if h.text("ToUserName") == "gh_1a2b3c" {
			w.give(t, "li", "#1 cs1 · "+h.text("Content"))
		}
		return success(r, h)
	}
	const customers, messages = 5, 200
	for n := range customers {
		c := w.Customer(w.account, fmt.Sprintf("oCustomer%d", n))
		for i := range messages {
			say(t, c, fmt.Sprintf("第%d句", i))
			if i == 0 {
				say(t, w.chats["li"], "在") // for the allowance
			}
		}
	}
	if in := w.chats["li"].Inbox(); len(in) != customers*messages || in[0].Text != "#1 cs1 · 第0句" {
		t.Errorf("%d messages", len(in))
	}
	if sum := w.Accounted(); sum.Relayed != customers*messages || !sum.Well() {
		t.Errorf("%+v", sum)
	}
}

func TestLoadLeavesSwitchboardsOut(t *testing.T) {
	t.Parallel()
	w := newRelay(t, Options{}, "li")
	report, err := w.Load(t.Context(), LoadOptions{Customers: 4, Messages: 1})
	if err != nil || report.Messages != 4 || report.Words != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err = w.Load(t.Context(), LoadOptions{Accounts: []*Account{w.board}, Customers: 1}); err == nil {
		t.Error("customers were played on a switchboard")
	}
}

// Customers who all say the same are told apart by how often it was delivered.
func TestLoadByRelay(t *testing.T) {
	t.Parallel()
	for _, drops := range []int{0, 3} {
		w := newRelay(t, Options{}, "li", "wang")
		w.board.o.Allowance.AfterMessage = 10_000
		for _, c := range w.chats {
			say(t, c, "在")
		}
		var mu sync.Mutex
		seen := make(map[string]bool)
		w.server.answer = func(r *http.Request, h heard) answer {
			mu.Lock()
			defer mu.Unlock()
			if id := h.text("MsgId"); id != "" && !seen[id] {
				seen[id] = true
				if len(seen) > drops {
					w.give(t, []string{"li", "wang"}[len(seen)%2], "#1 cs1 · "+h.text("Content"))
				}
			}
			return success(r, h)
		}
		report, err := w.Load(t.Context(), LoadOptions{Customers: 30, Messages: 5, Concurrency: 8, Repush: 0.2, Twice: 0.2, OutOfOrder: 0.2})
		if err != nil || report.Messages != 150 || report.Relayed != 150-drops || report.Lost != drops || report.Well() != (drops == 0) {
			t.Errorf("%d dropped: %+v, %v", drops, report, err)
		}
	}
}
