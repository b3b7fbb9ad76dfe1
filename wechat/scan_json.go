package wechat

import (
	"strings"
	"unicode/utf8"
)

// scanJSON reads what nearly every push in JSON is: one object whose members are
// strings of whole characters and integers. It gives up on anything else, which
// is then left to encoding/json, so that nothing depends on what it leaves out:
// what it does read, it reads as readStandardJSON.
func scanJSON(text string, f *fields) bool {
	var lower string // of "encrypt", which counts only without an "Encrypt"
	s := jsonScanner{rest: text}
	if !s.skip('{') {
		return false
	}
	for more := !s.skip('}'); more; {
		name, ok := s.text()
		if !ok || !s.skip(':') {
			return false
		}
		value, ok := s.value()
		if !ok {
			return false
		}
		if name == "encrypt" {
			lower = value
		} else if slot := f.slot(name); slot != nil {
			*slot = value
			s.encrypted = s.encrypted || name == "Encrypt"
		}
		if more = s.skip(','); !more && !s.skip('}') {
			return false
		}
	}
	if !s.encrypted {
		f.encrypt = lower
	}
	return strings.TrimLeft(s.rest, spaces) == ""
}

// A jsonScanner takes one thing after the other off the front of a text.
type jsonScanner struct {
	rest      string
	encrypted bool // there was an "Encrypt"
}

// space takes off what JSON allows between things.
func (s *jsonScanner) space() {
	n := 0
	for n < len(s.rest) && (s.rest[n] == ' ' || s.rest[n] == '\n' || s.rest[n] == '\t' || s.rest[n] == '\r') {
		n++
	}
	s.rest = s.rest[n:]
}

// skip takes off a sign, if it is next.
func (s *jsonScanner) skip(sign byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != sign {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// value takes off a string or an integer.
func (s *jsonScanner) value() (string, bool) {
	s.space()
	n := 0
	for n < len(s.rest) && '0' <= s.rest[n] && s.rest[n] <= '9' {
		n++
	}
	if n == 0 {
		return s.text()
	}
	number := s.rest[:n]
	s.rest = s.rest[n:]
	ends := s.rest != "" && strings.IndexByte(",} \n\t\r", s.rest[0]) >= 0 // else it is a fraction, or no number
	return number, ends && (number == "0" || number[0] != '0')
}

// text takes off a string.
func (s *jsonScanner) text() (string, bool) {
	if !s.skip('"') {
		return "", false
	}
	for i := 0; i < len(s.rest); i++ {
		switch b := s.rest[i]; {
		case b == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text, utf8.ValidString(text)
		case b == '\\':
			return s.escaped(i)
		case b < ' ':
			return "", false
		}
	}
	return "", false
}

// escaped takes off a string whose first escape is at i. Escapes of code units
// (\u4f60) are left to encoding/json.
func (s *jsonScanner) escaped(i int) (string, bool) {
	var b strings.Builder
	b.WriteString(s.rest[:i])
	for ; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return b.String(), utf8.ValidString(b.String())
		case c < ' ':
			return "", false
		case c != '\\':
			b.WriteByte(c)
		default:
			if i++; i == len(s.rest) {
				return "", false
			}
			at := strings.IndexByte(`"\/bfnrt`, s.rest[i])
			if at < 0 {
				return "", false
			}
			b.WriteByte("\"\\/\b\f\n\r\t"[at])
		}
	}
	return "", false
}
