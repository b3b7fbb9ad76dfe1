package kefu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever an openid is like, its short form never is the whole.
func TestShorten(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "o": "o…", "o12": "o…", "o12345678901234": "o…",
		"oABCDEFGHIJKLMNO": "oABC…LMNO", "oABCD1234567890abcdefghijk": "oABC…hijk",
	} {
		if got := Shorten(in); got != want {
			t.Errorf("Shorten(%q) = %q, want %q", in, got, want)
		}
	}
	if got := (CustomerID{App: "shop", User: "oABCD1234567890abcdefghijk"}).String(); got != "shop/oABC…hijk" {
		t.Errorf("String() = %q", got)
	}
	if got := fmt.Sprintf("%v", CustomerID{App: "shop", User: "oABCD1234567890abcdefghijk"}); strings.Contains(got, "1234567890") {
		t.Errorf("printing shows the openid: %s", got)
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	answers := []Answer{
		{Way: WayNamed, Agent: "wang", Account: "kf1@gh=x"},
		{Way: WayPlain, Agent: "li"},
		{Way: WayRelay, Agent: "zhao"},
	}
	odd := []Answer{{Way: WayNamed, Account: "nobody"}, {Agent: "undecided"}, {Way: WayNamed, Agent: "spaced", Account: "a b"}}
	r := NewReach(append(answers, odd...))
	for _, want := range answers {
		if diff := cmp.Diff(want, r.Answer(want.Agent)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Agent, diff)
		}
	}
	for _, id := range []AgentID{"", "wan", "ang", "undecided", "spaced", "nobody", "kf1@gh"} {
		if got := r.Answer(id); got.Decided() {
			t.Errorf("Answer(%q) = %+v, want none", id, got)
		}
	}
	if got := Reach("").Answer("wang"); got.Decided() {
		t.Errorf("an empty Reach knows %+v", got)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	table, err := NewTable([]App{{ID: "a", Default: "cs1", Entries: []Entry{
		{Tag: "cs1"}, {Tag: "order:*"}, {Tag: "order:vip:*"}, {Tag: "order:vip:1"},
	}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]EntryTag{
		"cs1": "cs1", "order:1": "order:*", "order:vip:2": "order:vip:*", "order:vip:1": "order:vip:1",
		"order:*": "order:*", "cs12": "", "": "", "ORDER:1": "",
	} {
		got := EntryTag("")
		if e := table.App("a").Match(in); e != nil {
			got = e.Tag
		}
		if got != want {
			t.Errorf("Match(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNewTableRefuses(t *testing.T) {
	t.Parallel()
	entry := func(tag EntryTag, agents ...AgentID) Entry {
		return Entry{Tag: tag, Steps: []Step{{Agents: agents}}}
	}
	for _, tt := range []struct {
		name   string
		apps   []App
		agents []Agent
		want   string
	}{
		{"two agents of a name", nil, []Agent{{ID: "a"}, {ID: "a"}}, `agent "a" stands twice`},
		{"two apps of a name", []App{{ID: "x"}, {ID: "x"}}, nil, `app "x" stands twice`},
		{"two entries of a tag", []App{{ID: "x", Default: "t", Entries: []Entry{entry("t"), entry("t")}}}, nil, `app "x": entry "t" stands twice`},
		{"nobody of that name", []App{{ID: "x", Default: "t", Entries: []Entry{entry("t", "b")}}}, []Agent{{ID: "a"}}, `app "x": entry "t": no agent "b"`},
		{"no default", []App{{ID: "x", Entries: []Entry{entry("t")}}}, nil, `app "x": no default entry ""`},
	} {
		if _, err := NewTable(tt.apps, tt.agents); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	n, err := NewNotices(map[NoticeKind]string{
		NoticeGreeting: " 您好，{{if .Agent}}{{.Agent}}{{else}}{{.Entry}}{{end}}为您服务 ", NoticeWaiting: "第{{.Position}}位", NoticeClosed: " ",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kind NoticeKind
		data NoticeData
		want string
	}{
		{NoticeGreeting, NoticeData{Agent: "王小姐", Entry: "售前"}, "您好，王小姐为您服务"},
		{NoticeGreeting, NoticeData{Entry: "售前"}, "您好，售前为您服务"},
		{NoticeWaiting, NoticeData{Position: 3}, "第3位"},
		{NoticeClosed, NoticeData{}, ""},
		{NoticeReassigned, NoticeData{}, ""},
	} {
		got, err := n.Render(tt.kind, tt.data)
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.kind, got, err, tt.want)
		}
		if n.Has(tt.kind) != (tt.want != "") {
			t.Errorf("Has(%s) = %v", tt.kind, n.Has(tt.kind))
		}
	}
	for _, bad := range []string{"{{.Nobody}}", "{{.Agent", "{{nofunc}}"} {
		if _, err := NewNotices(map[NoticeKind]string{NoticeGreeting: bad}); err == nil || !strings.Contains(err.Error(), "notice greeting") {
			t.Errorf("NewNotices(%q): %v, want an error that names the notice", bad, err)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind]string{
		KindUnknown: "unknown false false", KindText: "text true true", KindImage: "image true true", KindCard: "card true true",
		KindMedia: "media true true", KindEnter: "enter false true", KindEvent: "event false false", KindFollow: "follow false false", KindUnfollow: "unfollow false false", Kind(99): "unknown false false",
	} {
		if got := fmt.Sprintf("%s %v %v", kind, kind.FromCustomer(), kind.Routed()); got != want {
			t.Errorf("kind %d: %s, want %s", kind, got, want)
		}
	}
}
