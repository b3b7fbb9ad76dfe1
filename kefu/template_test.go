package kefu

import (
	"strings"
	"testing"
	std "text/template"
)

var templates = []string{
	"您好 {{.Agent}}，{{- .Entry -}} {{/* nobody */}} {{.Position}}!",
	`{{or .Agent .Entry "客服"}}{{and .Agent .Position}}{{not .Agent}}{{len .Entry}}`,
	`{{if .Position}}第 {{.Position}} 位{{else if .Agent}}{{.Agent}}{{else}}无{{end}}`,
	`{{if eq .Agent "wang" "li"}}a{{end}}{{if ne .Position 2}}b{{end}}{{if lt .Position 2}}c{{end}}{{le .Position 2}}{{gt .Agent "m"}}{{ge .Position 0x2}}`,
	`{{with .Agent}}{{.}} {{$.Entry}}{{else with .Entry}}{{.}}{{else}}{{$.Position}}{{end}}`,
	`{{$who := or .Agent "?"}}{{if $n := .Position}}{{$who = "x"}}{{$n}}{{end}}{{$who}}`,
	`{{.Agent | printf "%s-%03d %q" .Entry .Position}}{{print .Position 2 "a"}}{{println true -7}}`,
	`{{$all := .}}{{$all.Agent}}{{with $}}{{.Entry}}{{end}}{{(or .Agent .Entry) | len}}{{if .}}yes{{end}}`,
	`{{if .Agent}}{{slice .Agent 0 2}}{{slice .Agent 1}}{{"ab" | slice}}{{end}}`,
	`{{or .Position .Agent false}}{{.Entry | and .Agent}}{{not (eq .Agent .Entry)}}`,
}

// beside renders by text/template.
func beside(text string, d NoticeData) (string, error) {
	t, err := std.New("t").Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, d)
	return b.String(), err
}

func TestTemplatesAreThoseOfGo(t *testing.T) {
	t.Parallel()
	for _, text := range templates {
		ours, err := newTemplate("t", text, NoticeData{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, d := range []NoticeData{{}, {Agent: "wang"}, {Entry: "售前", Position: 2}, {"li", "x", 1}, {"wang", "售前", 12}} {
			want, err := beside(text, d)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ours.render(d); err != nil || got != want {
				t.Errorf("%s with %v: %q, %v, want %q", text, d, got, err, want)
			}
		}
	}
}

func TestTemplatesThatAreNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{{":                                  "template: t:1: unclosed action",
		"a\n {{if .Agent}}{{.Nobody}}{{end}}": "template: t:2:16: there is no .Nobody",
		"{{if .Agent}}{{else}}{{.Nobody}}{{end}}": "there is no .Nobody",
		"{{.Agent.Name}}":                         "there is no .Agent.Name",
		"{{with .Agent}}{{.Agent}}{{end}}":        "there is no .Agent",
		"{{.}}":                                   "the data as a whole is no value",
		"{{print .}}":                             "the data as a whole is no value",
		"{{. | print}}":                           "the data as a whole is no value",
		`{{$ | print "" .Entry .Position}}`:       "the data as a whole is no value",
		"{{with $x := .}}{{$x | len}}{{end}}":     "the data as a whole is no value",
		"{{.Agent 1}}":                            ".Agent takes no argument",
		"{{range .Position}}a{{end}}":             "is not known here",
		`{{define "x"}}a{{end}}b`:                 "define and block are not known here",
		`{{template "x"}}`:                        "is not known here",
		`{{$x := .}}{{if .Position}}{{$x = .Agent}}{{end}}{{$x | print}}`: "$x is the data as a whole in one place",
		`{{$x := "a"}}{{with .Agent}}{{$x = $}}{{end}}{{$x}}`:             "$x is the data as a whole in one place",
		`{{if .Agent}}{{$ = ""}}{{end}}`:                                  "$ is the data, and cannot be set",
		`{{$ := "a"}}{{$}}`:                                               "$ is the data, and cannot be set",
		`{{if .Agent}}{{$h = ""}}{{end}}`:                                 "there is no $h",
		"{{html .Agent}}":                                                 `function "html" not defined`,
		"{{1.5}}":                                                         "1.5 is not known here",
		"{{nil | print}}":                                                 "nil",
		"{{or}}":                                                          "or: has too few arguments or too many",
		"{{not .Agent .Entry}}":                                           "not: has too few arguments or too many",
		"{{eq .Agent}}":                                                   "eq: has too few arguments or too many",
		"{{lt .Agent}}":                                                   "lt: has too few arguments or too many",
		"{{eq .Agent .Position}}":                                         "eq: has arguments that cannot be compared",
		"{{ne .Agent .Position}}":                                         "ne: has arguments that cannot be compared",
		"{{lt .Agent .Position}}":                                         "lt: has arguments that cannot be compared",
		"{{ge .Position .Agent}}":                                         "ge: has arguments that cannot be compared",
		"{{gt true false}}":                                               "gt: has arguments that cannot be compared",
		"{{slice .Position 1}}":                                           "slice: has an argument of the wrong kind",
		"{{slice .Agent .Entry}}":                                         "slice: has an argument of the wrong kind",
		"{{slice .Agent 1 2 3}}":                                          "slice: has too few arguments or too many",
		"{{len .Position}}":                                               "len: has an argument of the wrong kind",
		"{{printf .Position}}":                                            "printf: has an argument of the wrong kind",
	} {
		if _, err := newTemplate("t", text, NoticeData{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	// What only shows when the text is written.
	for text, want := range map[string]string{
		`{{eq (or .Position "none") "none"}}`: "cannot be compared", "{{slice .Agent 1 9}}": "goes beyond the text", "{{slice .Agent 3 2}}": "goes beyond the text",
	} {
		late, err := newTemplate("t", text, NoticeData{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := late.render(NoticeData{Agent: "wang", Position: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
}

// FuzzTemplate looks for a text that is taken and reads otherwise than by
// text/template.
func FuzzTemplate(f *testing.F) {
	for _, text := range templates {
		f.Add(text, "wang", "售前", 3)
	}
	f.Fuzz(func(t *testing.T, text, agent, entry string, position int) {
		ours, err := newTemplate("t", text, NoticeData{})
		if err != nil {
			return
		}
		d := NoticeData{Agent: agent, Entry: entry, Position: position}
		got, err := ours.render(d)
		if err != nil {
			return
		}
		want, err := beside(text, d)
		if err != nil || got != want {
			t.Errorf("%q: %q, want %q, %v", text, got, want, err)
		}
	})
}
