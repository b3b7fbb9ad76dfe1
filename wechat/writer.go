package wechat

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A writer writes an answer: the children of an <xml> element, or the members of
// an object, as encoding/json would.
type writer struct {
	b []byte
	f format
}

// An element is what stands around a value, in each format.
type element struct{ open, close, section, sectionEnd, member string }

func newElement(name string) *element {
	e := &element{open: "<" + name + ">", close: "</" + name + ">", member: `"` + name + `":`}
	e.section, e.sectionEnd = e.open+cdataOpen, cdataClose+e.close
	return e
}

func newWriter(b []byte, f format) writer {
	if f == formatJSON {
		return writer{append(b, '{'), f}
	}
	return writer{append(b, "<xml>"...), f}
}

// text writes an element with one text. A "]]>" in it is shared between two
// CDATA sections, since it would end one.
func (w *writer) text(e *element, value string) {
	if w.f == formatJSON {
		w.member(e)
		w.quote(value)
		return
	}
	w.raw(e.section)
	w.raw(strings.ReplaceAll(value, cdataClose, "]]"+cdataClose+cdataOpen+">"))
	w.raw(e.sectionEnd)
}

// bare is text in which nothing would have to be quoted.
func (w *writer) bare(e *element, value []byte) {
	if w.f == formatJSON {
		w.member(e)
		w.b = append(append(append(w.b, '"'), value...), '"')
		return
	}
	w.raw(e.section)
	w.b = append(w.b, value...)
	w.raw(e.sectionEnd)
}

func (w *writer) number(e *element, value int64) {
	w.begin(e)
	w.b = strconv.AppendInt(w.b, value, 10)
	if w.f != formatJSON {
		w.raw(e.close)
	}
}

// open begins an element that has others in it.
func (w *writer) open(e *element) {
	w.begin(e)
	if w.f == formatJSON {
		w.raw("{")
	}
}

func (w *writer) close(e *element) {
	if w.f == formatJSON {
		w.raw("}")
		return
	}
	w.raw(e.close)
}

func (w *writer) begin(e *element) {
	if w.f == formatJSON {
		w.member(e)
		return
	}
	w.raw(e.open)
}

func (w *writer) member(e *element) {
	if w.b[len(w.b)-1] != '{' {
		w.raw(",")
	}
	w.raw(e.member)
}

// quote writes a JSON string. What is not plain is left to encoding/json.
func (w *writer) quote(value string) {
	for i := range len(value) {
		if b := value[i]; b < ' ' || b > '~' || strings.IndexByte(`"\<>&`, b) >= 0 {
			quoted, _ := json.Marshal(value) //nolint:errchkjson // a string always has a JSON
			w.b = append(w.b, quoted...)
			return
		}
	}
	w.b = append(append(append(w.b, '"'), value...), '"')
}

func (w *writer) raw(text string) { w.b = append(w.b, text...) }

func (w *writer) document() []byte {
	if w.f == formatJSON {
		return append(w.b, '}')
	}
	return append(w.b, "</xml>"...)
}
