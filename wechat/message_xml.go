package wechat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	spaces      = " \t\r\n"
	cdataOpen   = "<![CDATA["
	cdataClose  = "]]>"
	maxElements = 4096 // of one push; WeChat's have up to 20
	maxOdd      = 64   // elements whose sections end otherwise than WeChat's do: each is looked for to the body's end
)

// readXML reads the children of the root element, whatever that is called. Of
// several with one name the first that says anything counts. It reads more than
// is XML, since WeChat writes more: control characters in texts, a session-from
// cut inside a character, and, as far as can be told from what others report,
// a customer's "]]>" as he wrote it.
//
// https://github.com/offu/WeRoBot/issues/420,
// https://github.com/w7corp/easywechat/pull/1419,
// https://github.com/silenceper/wechat/issues/750, read 2026-11.
//
// That a text can so end its own element is why the first counts: FromUserName
// stands before Content. It keeps no state that nesting could make grow, has no
// entities but the five of XML, and refuses a DOCTYPE.
func readXML(s string, f *fields) bool {
	r := xmlReader{s: s}
	root, ok := r.next(nil)
	if !ok || root.end {
		return false
	}
	if root.empty {
		return true
	}
	for range maxElements {
		tag, ok := r.next(nil)
		if !ok {
			return false
		}
		if tag.end && tag.name == root.name {
			return true
		}
		if tag.end || tag.empty {
			continue
		}
		value, ok := r.value(tag.name)
		if !ok {
			return false
		}
		f.setXML(tag.name, value)
	}
	return false
}

// An xmlReader holds what is still to be read, and how often a section was not
// what was looked for.
type xmlReader struct {
	s   string
	odd int
}

type xmlTag struct {
	name       string
	end, empty bool
}

// value reads an element's text and its end tag. Elements within are left out,
// whatever their names.
func (r *xmlReader) value(name string) (string, bool) {
	if value, ok := r.section(name); ok || r.odd > maxOdd {
		return value, ok
	}
	if value, ok := r.bare(name); ok {
		return value, true
	}
	var value strings.Builder
	for {
		tag, ok := r.next(&value)
		if !ok {
			return "", false
		}
		if tag.end {
			return value.String(), true
		}
		if !tag.empty && !r.skip() {
			return "", false
		}
	}
}

// skip reads over what is left of an element, its end tag included.
func (r *xmlReader) skip() bool {
	for depth := 1; depth > 0; {
		tag, ok := r.next(nil)
		switch {
		case !ok:
			return false
		case tag.end:
			depth--
		case !tag.empty:
			depth++
		}
	}
	return true
}

// section reads a text as WeChat writes them: one CDATA section that ends where
// the element does. A "]]>" before that was the customer's, unless it is one of
// two that share it between them, as XML has it.
func (r *xmlReader) section(name string) (string, bool) {
	s, ok := strings.CutPrefix(r.s, cdataOpen)
	if !ok {
		return "", false
	}
	for at := 0; ; at += len(cdataClose) {
		i := strings.Index(s[at:], cdataClose)
		if i < 0 {
			break
		}
		at += i
		after := s[at+len(cdataClose):]
		if rest, ok := cutEnd(after, name); ok {
			r.s = rest
			return s[:at], true
		}
		if strings.HasPrefix(after, cdataOpen) {
			break
		}
	}
	r.odd++
	return "", false
}

// cutEnd takes an element's end tag off s, as WeChat writes it.
func cutEnd(s, name string) (string, bool) {
	const begin = len("</")
	end := begin + len(name)
	if len(s) <= end || s[:begin] != "</" || s[begin:end] != name || s[end] != '>' {
		return "", false
	}
	return s[end+1:], true
}

// bare reads a text as WeChat writes numbers: nothing but itself up to the
// element's end.
func (r *xmlReader) bare(name string) (string, bool) {
	i := strings.IndexByte(r.s, '<')
	if i < 0 || strings.IndexByte(r.s[:i], '&') >= 0 {
		return "", false
	}
	value := r.s[:i]
	rest, ok := cutEnd(r.s[i:], name)
	if ok {
		r.s = rest
	}
	return value, ok
}

// next reads up to and with the next tag, and writes the text before it into
// text, unless that is nil. It fails at the end of what there is, and at a
// DOCTYPE.
func (r *xmlReader) next(text *strings.Builder) (xmlTag, bool) {
	for {
		i := strings.IndexByte(r.s, '<')
		if i < 0 {
			return xmlTag{}, false
		}
		if text != nil {
			text.WriteString(unescape(r.s[:i]))
		}
		rest, ok := r.s[i+1:], false
		r.s = rest
		switch {
		case rest == "" || rest[0] != '!' && rest[0] != '?':
			return r.tag()
		case strings.HasPrefix(rest, cdataOpen[1:]):
			var section string
			section, ok = r.cut(len(cdataOpen)-1, cdataClose)
			if text != nil {
				text.WriteString(section)
			}
		case strings.HasPrefix(rest, "!--"):
			_, ok = r.cut(len("!--"), "-->")
		case strings.HasPrefix(rest, "?"):
			_, ok = r.cut(len("?"), "?>")
		default: // a DOCTYPE, which is not read over
		}
		if !ok {
			return xmlTag{}, false
		}
	}
}

// cut gives what stands between the first skip bytes and the next end, and goes
// on after that.
func (r *xmlReader) cut(skip int, end string) (string, bool) {
	before, rest, ok := strings.Cut(r.s[skip:], end)
	r.s = rest
	return before, ok
}

// tag reads a tag from after its "<". An attribute's value may hold a ">".
func (r *xmlReader) tag() (xmlTag, bool) {
	n := 0
	for n < len(r.s) && plain[r.s[n]] {
		n++
	}
	if 0 < n && n < len(r.s) && r.s[n] == '>' { // it begins an element, and has nothing but a name
		tag := xmlTag{name: r.s[:n]}
		r.s = r.s[n+1:]
		return tag, true
	}
	var quote byte
	for i := 0; i < len(r.s); i++ {
		switch b := r.s[i]; {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '"' || b == '\'':
			quote = b
		case b == '>':
			tag := newXMLTag(r.s[:i])
			r.s = r.s[i+1:]
			return tag, tag.name != ""
		}
	}
	return xmlTag{}, false
}

func newXMLTag(s string) xmlTag {
	var t xmlTag
	s, t.end = strings.CutPrefix(s, "/")
	s, t.empty = strings.CutSuffix(s, "/")
	t.name = s
	for i := range len(s) {
		if space(s[i]) {
			t.name = s[:i]
			break
		}
	}
	return t
}

// unescape replaces XML's own entities and numbered characters. Others stay as
// they are.
func unescape(s string) string {
	const longest = len("#x0010ffff;")
	before, rest, found := strings.Cut(s, "&")
	if !found {
		return s
	}
	var b strings.Builder
	for ; found; before, rest, found = strings.Cut(rest, "&") {
		b.WriteString(before)
		name, _, ended := strings.Cut(rest[:min(len(rest), longest)], ";")
		char, known := reference(name)
		if !ended || !known {
			b.WriteByte('&')
			continue
		}
		b.WriteRune(char)
		rest = rest[len(name)+1:]
	}
	b.WriteString(before)
	return b.String()
}

func reference(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	return rune(n), err == nil && n != 0 && utf8.ValidRune(rune(n))
}
