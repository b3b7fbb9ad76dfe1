package relay

import (
	"strings"
	"testing"
)

func TestNewCode(t *testing.T) {
	t.Parallel()
	const codes = 4096
	seen, letters := map[string]bool{}, map[rune]int{}
	for range codes {
		code := NewCode()
		if got, ok := NormalizeCode(code); !ok || got != code {
			t.Fatalf("%q is read as %q, %t", code, got, ok)
		}
		seen[code] = true
		for _, r := range code {
			letters[r]++
		}
	}
	if len(seen) < codes-3 {
		t.Errorf("%d different codes of %d: they repeat", len(seen), codes)
	}
	// Each letter is expected 768 times; half and one and a half as often are 14
	// standard deviations away.
	for _, r := range codeLetters {
		if n := letters[r]; n < 384 || n > 1152 {
			t.Errorf("%c stands %d times, want about 768", r, n)
		}
	}
	if len(letters) != len(codeLetters) || len(codeLetters) != 32 {
		t.Errorf("%d letters, want 32", len(letters))
	}
}

func TestNormalizeCode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"K7PM2Q":                   "K7PM2Q",
		"k7pm2q":                   "K7PM2Q",
		" K7P-M2Q\n":               "K7PM2Q",
		"k7p m2q":                  "K7PM2Q",
		"k7p—m2q":                  "K7PM2Q",
		"k7p－m2q":                  "K7PM2Q",
		"Ｋ７Ｐ　ｍ２ｑ":                  "K7PM2Q",
		"":                         "",
		"K7PM2":                    "",
		"K7PM2QQ":                  "",
		"K7PM20":                   "", // no 0
		"K7PMOQ":                   "", // no O
		"K7PMIQ":                   "", // no I
		"K7PM1Q":                   "",
		"K7PM2!":                   "",
		"K7PM2！":                   "",
		"K7PM2é":                   "",
		"王小姐您好啊":                   "",
		"ſſſſſſ":                   "", // whose capital is S
		"a\u0301bcdef":             "",
		"\xff\xff\xff\xff\xff\xff": "",
	} {
		got, ok := NormalizeCode(text)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", text, got, ok, want)
		}
	}
	if _, ok := NormalizeCode(strings.Repeat("A", 1<<20)); ok {
		t.Error("a megabyte is taken for a code")
	}
}
