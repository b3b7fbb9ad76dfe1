package relay

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func known(name string) bool {
	return name == "李先生" || strings.EqualFold(name, "li") || name == "presale" || name == "Zhao Yun"
}

func TestParse(t *testing.T) {
	t.Parallel()
	to := func(label int, name string) command {
		return command{verb: verbTransfer, label: label, to: name}
	}
	words := func(label int, text string) command { return command{label: label, text: text} }
	space := func(label int) command { return command{verb: verbSpace, label: label} }
	tests := map[string]command{
		"":                     words(0, ""),
		"你好":                   words(0, "你好"),
		"  a\n b  ":            words(0, "  a\n b  "),
		"上线":                   {verb: verbOnline},
		"online":               {verb: verbOnline},
		"/ONLINE":              {verb: verbOnline},
		"下线":                   {verb: verbOffline},
		"Offline":              {verb: verbOffline},
		"忙碌":                   {verb: verbBusy},
		"busy":                 {verb: verbBusy},
		"列表":                   {verb: verbList},
		"list":                 {verb: verbList},
		"历史":                   {verb: verbHistory},
		"history":              {verb: verbHistory},
		"结束":                   {verb: verbClose},
		"close":                {verb: verbClose},
		"帮助":                   {verb: verbHelp},
		"help":                 {verb: verbHelp},
		"/上线":                  {verb: verbOnline},
		"／上线":                  {verb: verbOnline},
		" 上线\n":                {verb: verbOnline},
		"　上线　":                 {verb: verbOnline},
		"上线了":                  words(0, "上线了"),
		"我上线":                  words(0, "我上线"),
		"close the door":       words(0, "close the door"),
		"online?":              words(0, "online?"),
		"//上线":                 words(0, "//上线"),
		"/新品":                  words(0, "/新品"),
		"#12":                  {verb: verbSelect, label: 12},
		"＃１２":                  {verb: verbSelect, label: 12},
		" #12 ":                {verb: verbSelect, label: 12},
		"#12：":                 {verb: verbSelect, label: 12},
		"#12 你好":               words(12, "你好"),
		"#12　你好":               words(12, "你好"),
		"#12\n你好\n":            words(12, "你好"),
		"＃１2 a  b":             words(12, "a  b"),
		"#12:你好":               words(12, "你好"),
		"#12：你好":               words(12, "你好"),
		"#12，你好":               words(12, "你好"),
		"#12 · 你好":             words(12, "你好"),
		"#12 3件":               words(12, "3件"),
		"#12： 3件":              words(12, "3件"),
		"#012 a":               words(12, "a"),
		"#9999 a":              words(9999, "a"),
		"#12你好":                space(12),
		"#12a":                 space(12),
		"#12#13 a":             space(12),
		"#12:30见":              space(12),
		"#1,000元":              space(1),
		"#12：３件":               space(12),
		"# 12 a":               space(12),
		"＃　12 a":               space(12),
		"# 12":                 {verb: verbSelect, label: 12},
		"#12 结束":               {verb: verbClose, label: 12, text: "结束"},
		"#12结束":                {verb: verbClose, label: 12, text: "结束"},
		"#12 /close":           {verb: verbClose, label: 12, text: "/close"},
		"#12 上线":               {verb: verbOnline, label: 12, text: "上线"},
		"#12 历史":               {verb: verbHistory, label: 12, text: "历史"},
		"#0 a":                 words(0, "#0 a"),
		"#10000 a":             words(0, "#10000 a"),
		"#99999999999999999 a": words(0, "#99999999999999999 a"),
		"#":                    words(0, "#"),
		"# a":                  words(0, "# a"),
		"#a1":                  words(0, "#a1"),
		"a #12":                words(0, "a #12"),
		"12 a":                 words(0, "12 a"),
		"#-1 a":                words(0, "#-1 a"),
		"#٣ a":                 words(0, "#٣ a"), // other digits are none
		"转给 李先生":               to(0, "李先生"),
		"转给李先生":                to(0, "李先生"),
		"/转给　presale":          to(0, "presale"),
		"转给 Zhao Yun":          to(0, "Zhao Yun"),
		"转给 谁也不是":              to(0, "谁也不是"),
		"转给":                   to(0, ""),
		"#12 转给":               to(12, ""),
		"transfer":             to(0, ""),
		"转给谁也不是":               words(0, "转给谁也不是"),
		"转给 他 或者 她":            words(0, "转给 他 或者 她"),
		"transfer li":          to(0, "li"),
		"TRANSFER Zhao Yun":    to(0, "Zhao Yun"),
		"transferli":           words(0, "transferli"),
		"transfers li":         words(0, "transfers li"),
		"transfer the money":   words(0, "transfer the money"),
		"#12 转给 li":            to(12, "li"),
		"#12转给李先生":             to(12, "李先生"),
		"#12 transfer nobody":  to(12, "nobody"),
		"\xff#12":              words(0, "\xff#12"),
		"#\xff":                words(0, "#\xff"),
	}
	for text, want := range tests {
		if want.verb == verbTransfer {
			want.text = textOf(text, want.label)
		} else if want.label == 0 && want.verb != verbSay {
			want.text = text
		}
		if diff := cmp.Diff(want, parse(text, known), cmp.AllowUnexported(command{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// textOf is what a command keeps of its text, which nobody reads.
func textOf(text string, label int) string {
	if label == 0 {
		return text
	}
	return strings.TrimSpace(strings.TrimLeft(text, "#12"))
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	for v := verbSay; v <= verbHelp; v++ {
		c := command{verb: v}
		if v.String() == "" || c.selects() && !c.targets() {
			t.Errorf("%d: %q, targets %t, selects %t", v, v, c.targets(), c.selects())
		}
	}
}

var labeled = regexp.MustCompile(`^[#＃][\s\v\x{85}\p{Z}]*0*([1-9０-９][0-9０-９]*|[0０]+[1-9０-９][0-9０-９]*)`)

// Whatever an agent writes is read as something: a label only if he wrote it, and
// his words as they are.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "你好", "#12 你好", "＃１２：a", "#12", "#12你好", "# 12 a", "#1,000", "转给 li", "#3转给李先生", "/结束", "transfer", "\xff", "#9999999999", "#\v1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := parse(text, known)
		if c.label < 0 || c.label > 9999 || c.verb > verbHelp {
			t.Fatalf("%q is read as %+v", text, c)
		}
		if c.label > 0 && !labeled.MatchString(strings.TrimSpace(text)) {
			t.Errorf("%q: label %d is invented", text, c.label)
		}
		if c.label == 0 && c.verb == verbSay && c.text != text {
			t.Errorf("%q is kept as %q", text, c.text)
		}
		if c.label > 0 && c.verb == verbSay && (c.text == "" || !strings.HasSuffix(strings.TrimSpace(text), c.text)) {
			t.Errorf("%q: the words %q are not those after the label", text, c.text)
		}
		if (c.verb == verbSelect || c.verb == verbSpace) && (c.label == 0 || c.text != "") {
			t.Errorf("%q is read as %+v", text, c)
		}
		if c.verb == verbTransfer && !strings.Contains(text, c.to) {
			t.Errorf("%q: %q is invented", text, c.to)
		}
		if again := parse(text, known); again != c {
			t.Errorf("%q is read as %+v, and then as %+v", text, c, again)
		}
	})
}
