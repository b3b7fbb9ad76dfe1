package kefu

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"text/template/parse"
)

// A template is a text in the language of Go's text/template, as far as a flat
// struct needs it: fields, variables, if and with, and the words below. Range,
// define, template and block are refused.
//
// text/template itself is not used, but for its parser. It finds methods by their
// names, so that whoever links it keeps every exported method of everything that is
// built in: a third of the program, Redis' hundreds of commands above all.
type template struct{ tree *parse.Tree }

// newTemplate reads a text for data of one type, a struct. A text that is no
// template, or that uses another field, even where this data does not lead, is
// an error.
func newTemplate(name, text string, data any) (*template, error) {
	known := make(map[string]any, len(words))
	for _, word := range words {
		known[word] = true
	}
	trees, err := parse.Parse(name, text, "", "", known)
	if err != nil {
		return nil, err
	}
	for defined := range trees {
		if defined != name {
			return nil, fmt.Errorf("template: %s: define and block are not known here", name)
		}
	}
	t := &template{trees[name]}
	return t, t.execute(&evaluation{everywhere: true}, data)
}

// render gives the text for data, a struct of the type that newTemplate had.
func (t *template) render(data any) (string, error) {
	var e evaluation
	err := t.execute(&e, data)
	return e.out.String(), err
}

func (t *template) execute(e *evaluation, data any) error {
	e.data = reflect.ValueOf(data)
	e.dot = top{}
	if err := e.list(t.tree.Root); err != nil {
		where, _ := t.tree.ErrorContext(e.at)
		return fmt.Errorf("template: %s: %w", where, err)
	}
	return nil
}

// An evaluation runs one template. Values are strings, ints and bools.
type evaluation struct {
	out        strings.Builder
	data       reflect.Value
	dot        any // top, or a value inside with
	vars       []variable
	at         parse.Node // the one that is being run
	everywhere bool       // every branch is taken, to find what is wrong in any
}

type variable struct {
	name  string
	value any
}

// top stands for the data as a whole.
type top struct{}

func (e *evaluation) list(l *parse.ListNode) error {
	if l == nil {
		return nil
	}
	for _, n := range l.Nodes {
		if err := e.node(n); err != nil {
			return err
		}
	}
	return nil
}

func (e *evaluation) node(n parse.Node) error {
	e.at = n
	switch n := n.(type) {
	case *parse.TextNode:
		e.out.Write(n.Text)
		return nil
	case *parse.ActionNode:
		v, err := e.pipe(n.Pipe)
		if err == nil && len(n.Pipe.Decl) == 0 {
			if v == (top{}) {
				return errWhole
			}
			fmt.Fprint(&e.out, v)
		}
		return err
	case *parse.IfNode:
		return e.branch(&n.BranchNode, false)
	case *parse.WithNode:
		return e.branch(&n.BranchNode, true)
	default:
		return fmt.Errorf("%s is not known here", n)
	}
}

// branch runs an if or a with. Variables are those of the branch.
func (e *evaluation) branch(b *parse.BranchNode, with bool) error {
	outside, dot := len(e.vars), e.dot
	defer func() { e.vars, e.dot = e.vars[:outside], dot }()
	v, err := e.pipe(b.Pipe)
	if err != nil {
		return err
	}
	inside, yes := len(e.vars), truth(v)
	if yes || e.everywhere {
		if with {
			e.dot = v
		}
		if err := e.list(b.List); err != nil {
			return err
		}
	}
	e.vars, e.dot = e.vars[:inside], dot
	if !yes || e.everywhere {
		return e.list(b.ElseList)
	}
	return nil
}

func truth(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case int:
		return v != 0
	case bool:
		return v
	default:
		return true
	}
}

// pipe gives the value of a pipeline, and sets the variable it begins with.
func (e *evaluation) pipe(p *parse.PipeNode) (any, error) {
	var value any
	for i, c := range p.Cmds {
		var piped []any
		if i > 0 {
			if value == (top{}) {
				return nil, errWhole
			}
			piped = []any{value}
		}
		var err error
		if value, err = e.command(c, piped); err != nil {
			return nil, err
		}
	}
	for _, v := range p.Decl {
		if v.Ident[0] == "$" {
			return nil, errors.New("$ is the data, and cannot be set")
		}
		if !p.IsAssign {
			e.vars = append(e.vars, variable{v.Ident[0], value})
			continue
		}
		known, err := e.variable(v.Ident[0])
		if err != nil {
			return nil, err
		}
		if e.everywhere && (known.value == top{}) != (value == top{}) {
			return nil, fmt.Errorf("%s is the data as a whole in one place and a value in another", v.Ident[0])
		}
		known.value = value
	}
	return value, nil
}

// variable finds the innermost of that name. The parser has seen that there is one
// only where it is read.
func (e *evaluation) variable(name string) (*variable, error) {
	for i := len(e.vars) - 1; i >= 0; i-- {
		if e.vars[i].name == name {
			return &e.vars[i], nil
		}
	}
	return nil, fmt.Errorf("there is no %s", name)
}

// command gives the value of a word with its arguments, the last of which may come
// through a pipe, or of an operand alone.
func (e *evaluation) command(c *parse.CommandNode, piped []any) (any, error) {
	word, ok := c.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(c.Args) > 1 || len(piped) > 0 {
			return nil, fmt.Errorf("%s takes no argument", c.Args[0])
		}
		return e.operand(c.Args[0])
	}
	args := make([]any, 0, len(c.Args))
	for _, n := range c.Args[1:] {
		v, err := e.operand(n)
		if err != nil {
			return nil, err
		}
		if v == (top{}) {
			return nil, errWhole
		}
		args = append(args, v)
		if decided := word.Ident == "or" && truth(v) || word.Ident == "and" && !truth(v); decided && !e.everywhere {
			return v, nil
		}
	}
	v, err := apply(word.Ident, append(args, piped...))
	if e.everywhere && errors.Is(err, errBounds) {
		return v, nil // the text is as long as it is once there is one
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", word.Ident, err)
	}
	return v, nil
}

func (e *evaluation) operand(n parse.Node) (any, error) {
	switch n := n.(type) {
	case *parse.FieldNode:
		return e.field(e.dot, n.Ident)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return e.field(top{}, n.Ident[1:])
		}
		v, err := e.variable(n.Ident[0])
		if err != nil {
			return nil, err
		}
		return e.field(v.value, n.Ident[1:])
	case *parse.IdentifierNode:
		return apply(n.Ident, nil)
	case *parse.PipeNode:
		return e.pipe(n)
	case *parse.DotNode:
		return e.dot, nil
	case *parse.StringNode:
		return n.Text, nil
	case *parse.BoolNode:
		return n.True, nil
	case *parse.NumberNode:
		if i, err := strconv.ParseInt(n.Text, 0, 0); err == nil {
			return int(i), nil
		}
	}
	return nil, fmt.Errorf("%s is not known here", n)
}

func (e *evaluation) field(of any, names []string) (any, error) {
	if len(names) == 0 {
		return of, nil
	}
	var f reflect.Value
	if of == (top{}) && len(names) == 1 {
		f = e.data.FieldByName(names[0])
	}
	switch f.Kind() {
	case reflect.String:
		return f.String(), nil
	case reflect.Int:
		return int(f.Int()), nil
	case reflect.Bool:
		return f.Bool(), nil
	default:
		return nil, fmt.Errorf("there is no .%s", strings.Join(names, "."))
	}
}
