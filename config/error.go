package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// An Error is everything that is wrong with one file, in the order of its
// lines. It holds no value of a Secret and none that came from the environment.
type Error struct {
	File     string
	Problems []Problem // never empty
}

// A Problem is one thing that is wrong. Line and Column count from 1, columns
// in characters; 0 means the file as a whole. Key is the path of the key, such
// as "apps[0].entries[1].tag"; "" if it is not about one.
type Problem struct {
	Line, Column int
	Key          string
	Wrong        string
	Right        string // what would be right
}

// Error gives one line a problem:
//
//	config.yaml:12:5: apps[0].token: is missing; write the app's Token
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		var b strings.Builder
		b.WriteString(e.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		if p.Key != "" {
			b.WriteString(": " + p.Key)
		}
		b.WriteString(": " + p.Wrong)
		if p.Right != "" {
			b.WriteString("; " + p.Right)
		}
		lines = append(lines, printable(b.String()))
	}
	return strings.Join(lines, "\n")
}

// printable keeps what the file holds from breaking the line or the terminal.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// A position is where a key or a list's item begins.
type position struct{ line, column int }

// A report gathers problems, and remembers for every path where it stands and
// which environment variable gave its value.
type report struct {
	problems []Problem
	at       map[string]position
	from     map[string]string
	refused  map[string]bool
}

func newReport() *report {
	return &report{
		at:      map[string]position{"": {line: 1, column: 1}},
		from:    map[string]string{},
		refused: map[string]bool{},
	}
}

// add reports a problem of a path, where the path or what it is a part of
// stands. Of what was refused before, and of its parts, nothing more is said.
func (r *report) add(path, wrong, right string) {
	if refused, _ := nearest(r.refused, path); !refused {
		at, _ := nearest(r.at, path)
		r.addAt(at, path, wrong, right)
	}
}

// addAt reports a problem at a place of its own.
func (r *report) addAt(at position, path, wrong, right string) {
	r.refused[path] = true
	r.problems = append(r.problems, Problem{Line: at.line, Column: at.column, Key: path, Wrong: wrong, Right: right})
}

// show gives a value as a problem may quote it. What came from the environment
// is not shown, as it may be a secret in the wrong place.
func (r *report) show(path string, value any) string {
	if name, ok := nearest(r.from, path); ok {
		return "the value of ${" + name + "}"
	}
	if _, secret := value.(Secret); secret {
		return "the value"
	}
	if text, ok := value.(fmt.Stringer); ok {
		return text.String()
	}
	if number, ok := value.(int); ok {
		return fmt.Sprint(number)
	}
	return fmt.Sprintf("%q", value)
}

// line gives the line that a path stands in.
func (r *report) line(path string) int {
	at, _ := nearest(r.at, path)
	return at.line
}

// err gives what was gathered, nil if nothing was.
func (r *report) err(file string) error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{File: file, Problems: r.problems}
}

// nearest finds what is known of a path or, failing that, of the closest one
// that it is a part of.
func nearest[T any](known map[string]T, path string) (T, bool) {
	for {
		if v, ok := known[path]; ok || path == "" {
			return v, ok
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// within gives the path of a key.
func within(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// item gives the path of a list's item.
func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
