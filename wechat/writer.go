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

func newWriter(b []byte, f format) writer {
	if f == formatJSON {
		return writer{append(b, '{'), f}
	}
	return writer{append(b, "<xml>"...), f}
}

// text writes an element with one text. A "]]>" in it is shared between two
// CDATA sections, since it would end one.
func (w *writer) text(name, value string) {
	if w.f == formatJSON {
		w.member(name)
		w.quote(value)
		return
	}
	w.raw("<", name, ">", cdataOpen)
	w.raw(strings.ReplaceAll(value, cdataClose, "]]"+cdataClose+cdataOpen+">"))
	w.raw(cdataClose, "</", name, ">")
}

// bare is text in which nothing would have to be quoted.
func (w *writer) bare(name string, value []byte) {
	if w.f == formatJSON {
		w.member(name)
		w.b = append(append(append(w.b, '"'), value...), '"')
		return
	}
	w.raw("<", name, ">", cdataOpen)
	w.b = append(w.b, value...)
	w.raw(cdataClose, "</", name, ">")
}

func (w *writer) number(name string, value int64) {
	w.begin(name)
	w.b = strconv.AppendInt(w.b, value, 10)
	if w.f != formatJSON {
		w.raw("</", name, ">")
	}
}

// open begins an element that has others in it.
func (w *writer) open(name string) {
	w.begin(name)
	if w.f == formatJSON {
		w.raw("{")
	}
}

func (w *writer) close(name string) {
	if w.f == formatJSON {
		w.raw("}")
		return
	}
	w.raw("</", name, ">")
}

func (w *writer) begin(name string) {
	if w.f == formatJSON {
		w.member(name)
		return
	}
	w.raw("<", name, ">")
}

func (w *writer) member(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.raw(",")
	}
	w.raw(`"`, name, `":`)
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
	w.raw(`"`, value, `"`)
}

func (w *writer) raw(parts ...string) {
	for _, part := range parts {
		w.b = append(w.b, part...)
	}
}

func (w *writer) document() []byte {
	if w.f == formatJSON {
		return append(w.b, '}')
	}
	return append(w.b, "</xml>"...)
}
