package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The cases stand in testdata/problems.txt: "==== name", the file, ">>>>", and
// its problems without the file's name.
func TestProblems(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/problems.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(string(data), "\n==== ")[1:]
	if len(cases) < 30 {
		t.Fatalf("got %d cases, want them all", len(cases))
	}
	for _, c := range cases {
		name, rest, _ := strings.Cut(c, "\n")
		text, problems, ok := strings.Cut(rest, ">>>>\n")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !ok {
				t.Fatal("the case has no >>>>")
			}
			_, err := Parse("f.yaml", []byte(strings.ReplaceAll(text, "SHOP\n", shop)), nil)
			if err == nil {
				t.Fatal("got no error")
			}
			want := strings.Split(strings.TrimSpace(problems), "\n")
			got := strings.Split(err.Error(), "\n")
			var bad *Error
			if !errors.As(err, &bad) || len(bad.Problems) != len(got) || bad.File != "f.yaml" {
				t.Errorf("got %T, want an *Error with a problem a line", err)
			}
			for i := range got {
				got[i] = strings.TrimPrefix(got[i], "f.yaml:")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoText(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"not UTF-8":       "log: {}\n# \xff\n" + shop,
		"for private use": "log: {}\n# \U000F007B\n" + shop,
	} {
		_, err := Parse("f.yaml", []byte(text), nil)
		want := "f.yaml:2:1: holds bytes that are no text; save the file as UTF-8"
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

// What would take the parser longer than a test may run, or grow without end,
// is refused before it is parsed.
func TestBombs(t *testing.T) {
	t.Parallel()
	const more = "holds more than any configuration does"
	var laughs strings.Builder
	laughs.WriteString("redis:\n  addrs: &a0 [" + strings.Repeat("x:1,", 400) + "]\ngroups:\n")
	for i := range 600 {
		fmt.Fprintf(&laughs, "  - {name: g%d, agents: *a0}\n", i)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"brackets", "a: " + strings.Repeat("[", maxSize-10), more},
		{"dashes", strings.Repeat("- ", maxSize/2), more},
		{"keys on a line", strings.Repeat("a: ", maxSize/3), more},
		{"keys", strings.Repeat("a: 1\n", maxSize/5), more},
		{"keys with lists", strings.Repeat("a:\n  - 1\n", 2*maxKeys), more},
		{"aliases", laughs.String(), "repeats itself by aliases"},
		{"an alias within itself", "groups: &g [{name: a, agents: *g}]\n" + shop, "groups[0].agents[0]: is no single value"},
		{"an anchor of an alias", "groups: [&x *x]\n" + shop, "is no YAML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f.yaml", []byte(tt.text), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.200v, want %q", err, tt.want)
			}
		})
	}
}

func TestErrorIsPrintable(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml", []byte("\"a\\nb\\e[31m\": 1\n"+shop), nil)
	want := `f.yaml:1:1: a\nb\x1b[31m: is no key of the configuration; known here: `
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want it to begin %q", err, want)
	}
}
