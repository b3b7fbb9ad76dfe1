package simulator

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A Field is one element of a push's body. Value is a string, an int64, or
// Fields.
type Field struct {
	Name  string
	Value any
}

// Fields are the elements of a body, in their order.
type Fields []Field

// text is the value of a field as text; "" if there is no such field.
func (f Fields) text(name string) string {
	for _, field := range f {
		if field.Name == name {
			return fmt.Sprint(field.Value)
		}
	}
	return ""
}

// render writes a body in a format. Bytes that are not UTF-8 stay as they are:
// a session-from is cut by bytes, and may be cut inside a character.
func (f Fields) render(format Format) []byte {
	var b bytes.Buffer
	if format == JSON {
		f.json(&b)
		return b.Bytes()
	}
	b.WriteString("<xml>")
	f.xml(&b)
	b.WriteString("</xml>")
	return b.Bytes()
}

func (f Fields) xml(b *bytes.Buffer) {
	for _, field := range f {
		fmt.Fprintf(b, "<%s>", field.Name)
		switch v := field.Value.(type) {
		case string:
			fmt.Fprintf(b, "<![CDATA[%s]]>", cdata(v))
		case Fields:
			v.xml(b)
		default:
			fmt.Fprint(b, v)
		}
		fmt.Fprintf(b, "</%s>\n", field.Name)
	}
}

// cdata makes a text fit for a CDATA section: its end is split over two, and
// what XML 1.0 cannot say is left out.
func cdata(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c >= ' ' || c == '\t' || c == '\n' || c == '\r' {
			b = append(b, c)
		}
	}
	return strings.ReplaceAll(string(b), "]]>", "]]]]><![CDATA[>")
}

func (f Fields) json(b *bytes.Buffer) {
	b.WriteByte('{')
	for i, field := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		quote(b, field.Name)
		b.WriteByte(':')
		switch v := field.Value.(type) {
		case string:
			quote(b, v)
		case Fields:
			v.json(b)
		default:
			fmt.Fprint(b, v)
		}
	}
	b.WriteByte('}')
}

// quote writes a JSON string, escaping only what JSON says must be.
func quote(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			b.WriteString(`\u00`)
			b.WriteString(strconv.FormatUint(uint64(c)+0x100, 16)[1:])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
