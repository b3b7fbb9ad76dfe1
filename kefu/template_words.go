package kefu

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// words are those of text/template that do something with texts, numbers and
// truth.
var words = []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "slice", "print", "printf", "println"}

var (
	errWhole   = errors.New("the data as a whole is no value")
	errCount   = errors.New("has too few arguments or too many")
	errKind    = errors.New("has an argument of the wrong kind")
	errBounds  = errors.New("goes beyond the text")
	errCompare = errors.New("has arguments that cannot be compared")
)

// apply gives what a word makes of its arguments.
func apply(word string, args []any) (any, error) {
	switch word {
	case "print":
		return fmt.Sprint(args...), nil
	case "println":
		return fmt.Sprintln(args...), nil
	}
	if len(args) == 0 {
		return nil, errCount
	}
	switch word {
	case "and", "or":
		return args[len(args)-1], nil // those before it have not decided
	case "printf":
		format, ok := args[0].(string)
		if !ok {
			return nil, errKind
		}
		return fmt.Sprintf(format, args[1:]...), nil
	case "eq":
		return equal(args)
	case "slice":
		return cut(args)
	}
	switch {
	case word == "not" && len(args) == 1:
		return !truth(args[0]), nil
	case word == "len" && len(args) == 1:
		text, ok := args[0].(string)
		if !ok {
			return nil, errKind
		}
		return len(text), nil
	case word == "not", word == "len", len(args) != 2:
		return nil, errCount
	case word == "ne":
		same, err := equal(args)
		return !same, err
	}
	return ordered(word, args[0], args[1])
}

// cut gives the bytes of a text from the first number on, before the second.
func cut(args []any) (string, error) {
	text, ok := args[0].(string)
	if !ok {
		return "", errKind
	}
	if len(args) > 3 {
		return "", errCount
	}
	ends := [2]int{0, len(text)}
	for i, arg := range args[1:] {
		if ends[i], ok = arg.(int); !ok {
			return "", errKind
		}
	}
	if ends[0] < 0 || ends[0] > ends[1] || ends[1] > len(text) {
		return "", errBounds
	}
	return text[ends[0]:ends[1]], nil
}

// equal reports whether the first is any of the others.
func equal(args []any) (bool, error) {
	if len(args) < 2 {
		return false, errCount
	}
	for _, other := range args[1:] {
		if reflect.TypeOf(args[0]) != reflect.TypeOf(other) {
			return false, errCompare
		}
		if args[0] == other {
			return true, nil
		}
	}
	return false, nil
}

func ordered(word string, a, b any) (bool, error) {
	var order int
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		if !ok {
			return false, errCompare
		}
		order = strings.Compare(a, b)
	case int:
		b, ok := b.(int)
		if !ok {
			return false, errCompare
		}
		order = cmp.Compare(a, b)
	default:
		return false, errCompare
	}
	switch word {
	case "lt":
		return order < 0, nil
	case "le":
		return order <= 0, nil
	case "gt":
		return order > 0, nil
	default: // ge
		return order >= 0, nil
	}
}
