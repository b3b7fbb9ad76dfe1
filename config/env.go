package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Within ${…} a file may hold anything, also what YAML takes for structure:
// {token: ${TOKEN:-}} would be a mapping within a mapping. So before the YAML is
// read, every sign within ${…} moves to a plane of Unicode that is for private
// use and means nothing to YAML, one character for one, so that columns stay;
// and moves back in the values that come out.
const (
	privateFirst = '\U000F0000'
	privateLast  = privateFirst + 0x7F
)

const variableForm = "write ${NAME} or ${NAME:-default}; $${ stands for ${ itself"

var variable = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?$`)

// shield moves the signs within every ${…} that is closed on its line.
func shield(text string) string {
	var b strings.Builder
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			break
		}
		length := strings.IndexAny(text[start:], "}\n")
		if length < 0 || text[start+length] == '\n' {
			b.WriteString(text[:start+2])
			text = text[start+2:]
			continue
		}
		b.WriteString(text[:start+1])
		b.WriteString(strings.Map(hide, text[start+1:start+length+1]))
		text = text[start+length+1:]
	}
	return b.String() + text
}

func hide(r rune) rune {
	word := r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
	if r > 0x7F || word {
		return r
	}
	return privateFirst + r
}

// unshield moves them back.
func unshield(text string) string {
	return strings.Map(func(r rune) rune {
		if private(r) {
			return r - privateFirst
		}
		return r
	}, text)
}

func private(r rune) bool { return privateFirst <= r && r <= privateLast }

// expand replaces the variables in one value. A variable that is set to nothing
// has its default, as in a shell. $${ stands for ${ itself.
func (d *decoder) expand(path, text string) string {
	var b strings.Builder
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			return b.String() + text
		}
		if start > 0 && text[start-1] == '$' {
			b.WriteString(text[:start-1] + "${")
			text = text[start+2:]
			continue
		}
		b.WriteString(text[:start])
		inside, rest, closed := strings.Cut(text[start+2:], "}")
		if !closed {
			d.add(path, "has a ${ that is not closed on its line", variableForm)
			return ""
		}
		b.WriteString(d.lookup(path, inside))
		text = rest
	}
}

func (d *decoder) lookup(path, inside string) string {
	parts := variable.FindStringSubmatch(inside)
	if parts == nil {
		d.add(path, "has a ${} that names no variable", variableForm)
		return ""
	}
	name, optional, fallback := parts[1], parts[2] != "", parts[3]
	value, set := d.env(name)
	if value == "" && optional {
		return fallback
	}
	if !set {
		at, _ := nearest(d.at, path)
		d.addAt(at, path, fmt.Sprintf("the environment variable %s is not set", name),
			fmt.Sprintf("set it, or write ${%s:-default}", name))
	}
	d.from[path] = name
	return value
}
