package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// A decoder reads a tree into a struct by the struct's yaml tags. It goes on
// after a problem, where the struct keeps the value it had.
type decoder struct {
	*report
	env     func(string) (string, bool)
	anchors map[string]node
	left    int // values it will still read
}

// A defaulter is an item of a list whose keys have defaults.
type defaulter interface{ setDefaults() }

func (d *decoder) root(n node, c *Config) {
	if n != nil {
		d.value("", n, reflect.ValueOf(c).Elem())
	}
	if d.left < 0 {
		d.addAt(position{}, "", "repeats itself by aliases into more than any configuration holds",
			fmt.Sprintf("keep to %d values", maxValues))
	}
}

func (d *decoder) value(path string, n node, v reflect.Value) {
	if d.left--; d.left < 0 {
		return
	}
	n, ok := d.resolve(path, n)
	if !ok {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *Addresses:
		d.addresses(path, n, p)
		return
	case *time.Time:
		d.scalar(path, n, v)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(path, n, v.Elem())
	case reflect.Struct:
		d.object(path, n, v)
	case reflect.Slice:
		d.list(path, n, v)
	case reflect.Map:
		d.dictionary(path, n, v)
	default:
		d.scalar(path, n, v)
	}
}

// resolve follows aliases, and remembers anchors as they come by.
func (d *decoder) resolve(path string, n node) (node, bool) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		if _, nested := n.Value.(*ast.AliasNode); nested || n.Value == nil {
			break
		}
		d.anchors[n.Name.GetToken().Value] = n.Value
		return d.resolve(path, n.Value)
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		target, ok := d.anchors[name]
		if !ok {
			d.add(path, fmt.Sprintf("there is no anchor &%s before it", name), "write the value out")
		}
		return target, ok
	case *ast.TagNode:
		break
	default:
		return n, true
	}
	d.add(path, "has a YAML tag or an anchor in a place where none is read", "write the value alone")
	return nil, false
}

func (d *decoder) object(path string, n node, v reflect.Value) {
	keys, known := fields(v.Type())
	if _, null := n.(*ast.NullNode); null {
		return // all its keys are commented out
	}
	m, ok := n.(ast.MapNode)
	if !ok {
		d.add(path, "has no keys in it", "known here: "+strings.Join(keys, ", "))
		return
	}
	first := map[string]int{}
	for pairs := m.MapRange(); pairs.Next(); {
		t := pairs.Key().GetToken()
		child, at := within(path, unshield(t.Value)), place(t)
		field, ok := known[t.Value]
		if !ok && t.Type != token.MergeKeyType {
			d.addAt(at, child, "is no key of the configuration", "known here: "+strings.Join(keys, ", "))
			continue
		}
		if d.key(child, t, first) {
			d.value(child, pairs.Value(), v.Field(field))
		}
	}
}

// key remembers where a key stands, or reports why it is not read. first holds
// the lines of the keys beside it.
func (d *decoder) key(path string, t *token.Token, first map[string]int) bool {
	at := place(t)
	if t.Type == token.MergeKeyType {
		d.addAt(at, path, "merge keys are not read", "write the keys out, or give a whole value as *alias")
		return false
	}
	if line := first[t.Value]; line > 0 {
		d.addAt(at, path, fmt.Sprintf("stands twice, first in line %d", line), "keep one")
		return false
	}
	first[t.Value] = at.line
	d.at[path] = at
	return true
}

// dictionary reads values under names, which check knows.
func (d *decoder) dictionary(path string, n node, v reflect.Value) {
	if _, null := n.(*ast.NullNode); null {
		return
	}
	m, ok := n.(ast.MapNode)
	if !ok {
		d.add(path, "has no names in it", "write NAME: VALUE for each")
		return
	}
	items := reflect.MakeMap(v.Type())
	first := map[string]int{}
	for pairs := m.MapRange(); pairs.Next(); {
		t := pairs.Key().GetToken()
		name := unshield(t.Value)
		child := within(path, name)
		if !d.key(child, t, first) {
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.value(child, pairs.Value(), value)
		items.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
	}
	if items.Len() > 0 {
		v.Set(items)
	}
}

// fields gives the keys of a struct, in its order, and their fields.
func fields(t reflect.Type) ([]string, map[string]int) {
	keys, known := make([]string, 0, t.NumField()), make(map[string]int, t.NumField())
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("yaml")
		keys = append(keys, key)
		known[key] = i
	}
	return keys, known
}

func (d *decoder) list(path string, n node, v reflect.Value) {
	if _, null := n.(*ast.NullNode); null {
		return
	}
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.add(path, "is no list", "write [a, b], or a line beginning with - for each item")
		return
	}
	items := reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values))
	for i, n := range s.Values {
		child := item(path, i)
		d.at[child] = start(n)
		if it, ok := reflect.TypeAssert[defaulter](items.Index(i).Addr()); ok {
			it.setDefaults()
		}
		d.value(child, n, items.Index(i))
	}
	if items.Len() > 0 {
		v.Set(items)
	}
}

// addresses reads a list, or one text with commas.
func (d *decoder) addresses(path string, n node, to *Addresses) {
	if _, ok := n.(*ast.SequenceNode); ok {
		var items []string
		d.list(path, n, reflect.ValueOf(&items).Elem())
		*to = items
		return
	}
	text, ok := d.text(path, n)
	if !ok {
		return
	}
	*to = nil
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*to = append(*to, part)
		}
	}
}

func (d *decoder) scalar(path string, n node, v reflect.Value) {
	text, ok := d.text(path, n)
	if !ok || d.refused[path] {
		return
	}
	if wrong := set(v, text); wrong != nil {
		d.add(path, wrong.wrong, wrong.right)
	}
}

// text gives the text of a single value, its variables replaced.
func (d *decoder) text(path string, n node) (string, bool) {
	switch n := n.(type) {
	case *ast.NullNode:
		return "", true
	case *ast.StringNode:
		return d.expand(path, unshield(n.Value)), true
	case *ast.LiteralNode:
		return d.expand(path, unshield(n.Value.Value)), true
	case ast.ScalarNode:
		return n.GetToken().Value, true
	}
	d.add(path, "is no single value", "write one, without brackets or keys below it, and in quotes if it holds a colon")
	return "", false
}

// set reads the text as the field's type wants it.
func set(v reflect.Value, text string) *mistake {
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		value, wrong := parseDuration(text)
		*p = value
		return wrong
	case *time.Time:
		value, err := time.Parse(time.RFC3339, text)
		if err != nil && text != "" {
			return &mistake{"is no time", "write one such as 2026-11-22T18:00:00+08:00"}
		}
		*p = value.UTC()
	case *int:
		value, err := strconv.Atoi(text)
		if err != nil {
			return &mistake{"is no whole number", "write one such as 5"}
		}
		*p = value
	case *bool:
		if text != "true" && text != "false" {
			return &mistake{"is neither true nor false", "write one of them"}
		}
		*p = text == "true"
	default:
		v.SetString(text)
	}
	return nil
}
