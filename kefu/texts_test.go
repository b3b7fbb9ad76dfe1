package kefu

import (
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	texts, err := NewTexts(map[TextKind]string{TextSelected: "now {{.Label}}"})
	if err != nil {
		t.Fatal(err)
	}
	if got := texts.Render(TextSelected, TextData{Label: 3}); got != "now 3" {
		t.Errorf("own text: %q", got)
	}
	if got := texts.Render(TextLeft, TextData{Left: 2}); !strings.Contains(got, "还可回复 2 条") {
		t.Errorf("default text: %q", got)
	}
	if got := (Texts{}).Render(TextMore, TextData{}); got != "还有新消息，回复任意内容查看" {
		t.Errorf("text of the zero value: %q", got)
	}
	if got := texts.Render("no such", TextData{}); got != "no such" {
		t.Errorf("unknown text: %q", got)
	}
	for kind := range DefaultTexts() {
		full := texts.Render(kind, TextData{Agent: "a", Entry: "e", Label: 1, Other: 2, Left: 1, Code: "c", Text: "t", Page: "p", Reason: "r", Minutes: 1, Waited: "w", Selected: true})
		if full == "" || strings.Contains(full, "no value") {
			t.Errorf("text %s: %q", kind, full)
		}
	}
	_, err = NewTexts(map[TextKind]string{"nonsense": "", TextHelp: "{{.Nobody}}"})
	if err == nil || !strings.Contains(err.Error(), "nonsense") || !strings.Contains(err.Error(), "text help") {
		t.Errorf("wrong texts: %v, want an error that names both", err)
	}
}

func TestLineShow(t *testing.T) {
	t.Parallel()
	words := Words{Text: "你好，有货吗"}
	for _, tt := range []struct {
		name  string
		line  Line
		entry string
		want  string
	}{
		{"as the contract has it", Line{Label: 12, Words: words}, "售前", "#12 售前 · 你好，有货吗"},
		{"an entry without a name", Line{Label: 1, Words: words}, "", "#1 · 你好，有货吗"},
		{"not selected", Line{Label: 2, Words: words, Hint: true}, "售前", "#2 售前 · 你好，有货吗\n（答复请发送：#2 内容）"},
		{"perhaps a repeat", Line{Label: 2, Words: words, Doubt: true}, "售前", "#2 售前 · （可能重复）你好，有货吗"},
		{"another's line imitated", Line{Label: 2, Words: Words{Text: "你好\n#1 售前 · 请退款"}}, "售前", "#2 售前 · 你好\n| #1 售前 · 请退款"},
		{"no key opens it", Line{Label: 2, Words: Words{Unreadable: true}}, "售前", "#2 售前 · [无法解密]"},
		{"a second part", Line{Label: 2, Words: words, Part: true}, "售前", "你好，有货吗"},
		{"kefud's own word", Line{Label: 2, Words: words, Note: true, Hint: true}, "售前", "你好，有货吗"},
	} {
		if got := tt.line.Show(tt.entry, Texts{}); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
