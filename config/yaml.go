package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. They stand far above any real one, and far below what the
// parser, whose time grows with the square of some of them, would take minutes for.
const (
	maxTokens     = 600_000
	maxLineTokens = 1_000
	maxKeys       = 1_000   // of one mapping that is written without brackets
	maxNesting    = 32      // of brackets
	maxValues     = 200_000 // values read, each as often as an alias repeats it
)

type node = ast.Node

// parseYAML gives the tree of the file's one document, nil if there is nothing
// in it, or false after reporting why it cannot be read.
func parseYAML(data []byte, r *report) (node, bool) {
	if len(data) > maxSize {
		r.addAt(position{}, "", "is larger than 2 MiB", "split the service, or look whether this is the right file")
		return nil, false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for i, line := range strings.Split(string(data), "\n") {
		if !utf8.ValidString(line) || strings.ContainsFunc(line, private) {
			r.addAt(position{i + 1, 1}, "", "holds bytes that are no text", "save the file as UTF-8")
		}
	}
	if len(r.problems) > 0 {
		return nil, false
	}
	tokens := lexer.Tokenize(shield(string(data)))
	if !bounded(tokens, r) {
		return nil, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, wrong := syntax(err)
		r.addAt(at, "", wrong, "mind the indentation, the quotes and the brackets")
		return nil, false
	}
	return single(file, r)
}

// bounded reports whether the file stays within the bounds.
func bounded(tokens token.Tokens, r *report) bool {
	line, onLine, depth := 0, 0, 0
	var lines outline
	for i, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
			if depth == 0 {
				lines.begin(t)
			}
		}
		onLine++
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		}
		if i >= maxTokens || onLine > maxLineTokens || depth > maxNesting || lines.keys() > maxKeys {
			r.addAt(position{line, t.Position.Column}, "", "holds more than any configuration does",
				fmt.Sprintf("keep to %d values and signs, %d on a line, %d keys side by side, brackets %d deep",
					maxTokens, maxLineTokens, maxKeys, maxNesting))
			return false
		}
	}
	return true
}

// An outline counts, for the line in hand and each it is indented below, how many
// begin side by side with it.
type outline []struct{ column, lines int }

// begin takes the first token of a line.
func (o *outline) begin(t *token.Token) {
	if t.Type == token.CommentType {
		return
	}
	at := len(*o)
	for at > 0 && (*o)[at-1].column > t.Position.Column {
		at--
	}
	*o = (*o)[:at]
	if t.Type == token.SequenceEntryType {
		return // a list may be long
	}
	if at == 0 || (*o)[at-1].column < t.Position.Column {
		*o = append(*o, struct{ column, lines int }{column: t.Position.Column})
		at++
	}
	(*o)[at-1].lines++
}

func (o outline) keys() int {
	if len(o) == 0 {
		return 0
	}
	return o[len(o)-1].lines
}

// single gives the body of the one document there may be.
func single(file *ast.File, r *report) (node, bool) {
	var body node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			r.addAt(start(doc.Body), "", "holds a second document", "remove the line --- and what follows it")
			return nil, false
		}
		body = doc.Body
	}
	return body, true
}

// syntax tells where the parser stopped, and why. Its messages quote no value;
// the piece of the file that it would print does, and is left out.
func syntax(err error) (position, string) {
	const wrong = "is no YAML"
	located, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return position{}, wrong
	}
	why := wrong + ": " + located.GetMessage()
	if t := located.GetToken(); t != nil && t.Position != nil {
		return place(t), why
	}
	return position{}, why
}

// start gives the place where a value begins. The parser's own idea of it is,
// for keys without brackets, the first colon.
func start(n node) position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return place(m.Values[0].Key.GetToken())
	}
	return place(n.GetToken())
}

func place(t *token.Token) position { return position{t.Position.Line, t.Position.Column} }
