package simulator

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Elements are the elements of an answer by their names.
type elements map[string]element

// An element is a text, a number or further elements. XML does not tell texts
// from numbers.
type element struct {
	text   string
	number bool
	inner  elements
}

// must returns what is wrong with elements that must be there, as texts or, for
// names that end in #, as numbers; "" if nothing is.
func (e elements) must(format Format, names ...string) string {
	for _, name := range names {
		name, number := strings.CutSuffix(name, "#")
		el, ok := e[name]
		switch {
		case !ok:
			return fmt.Sprintf("%s is missing", name)
		case el.inner != nil:
			return fmt.Sprintf("%s holds other elements", name)
		case el.text == "":
			return fmt.Sprintf("%s is empty", name)
		case format == JSON && number != el.number:
			return fmt.Sprintf("%s has the wrong JSON type", name)
		}
	}
	return ""
}

// only returns what is there besides the four elements of every message and
// one more; "" if nothing is.
func (e elements) only(more string) string {
	for name := range e {
		switch name {
		case "ToUserName", "FromUserName", "CreateTime", "MsgType", more:
		default:
			return fmt.Sprintf("the answer has an unknown element %s", name)
		}
	}
	return ""
}

// add takes an element in, unless there is one of that name.
func (e elements) add(name string, el element) error {
	if _, twice := e[name]; twice {
		return fmt.Errorf("the element %s stands twice", name)
	}
	e[name] = el
	return nil
}

// parse reads a body strictly: one object, no repeated names, nothing after it.
func parse(format Format, body []byte) (elements, error) {
	if format == JSON {
		return parseJSON(body)
	}
	return parseXML(body)
}

var errXML = errors.New("the answer is not well-formed XML")

func parseXML(body []byte) (elements, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	token, err := d.Token()
	if err != nil {
		return nil, errXML
	}
	root, ok := token.(xml.StartElement)
	if !ok || root.Name.Local != "xml" || root.Name.Space != "" || len(root.Attr) > 0 {
		return nil, errors.New("the answer does not begin with <xml>")
	}
	el, err := readXML(d, 0)
	if err != nil {
		return nil, err
	}
	if el.inner == nil {
		return nil, errors.New("<xml> holds no elements")
	}
	if _, err = d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows </xml>")
	}
	return el.inner, nil
}

// readXML reads up to the end of the element that was begun.
func readXML(d *xml.Decoder, depth int) (element, error) {
	var el element
	for {
		token, err := d.Token()
		if err != nil {
			return element{}, errXML
		}
		switch t := token.(type) {
		case xml.CharData:
			el.text += string(t)
		case xml.EndElement:
			return el.close()
		case xml.StartElement:
			if depth > 1 || t.Name.Space != "" || len(t.Attr) > 0 {
				return element{}, fmt.Errorf("%s is nested too deep, or has attributes", t.Name.Local)
			}
			if el.inner == nil {
				el.inner = elements{}
			}
			inner, err := readXML(d, depth+1)
			if err != nil {
				return element{}, err
			}
			if err = el.inner.add(t.Name.Local, inner); err != nil {
				return element{}, err
			}
		default:
			return element{}, errors.New("the answer holds XML comments or instructions")
		}
	}
}

// close checks an element that has ended: between further elements, there is
// room for white space only.
func (el element) close() (element, error) {
	if el.inner == nil {
		return el, nil
	}
	if strings.TrimSpace(el.text) != "" {
		return element{}, errors.New("the answer mixes text with elements")
	}
	el.text = ""
	return el, nil
}

var errJSON = errors.New("the answer is not well-formed JSON")

func parseJSON(body []byte) (elements, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errJSON
	}
	el, err := readJSON(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err = d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return el.inner, nil
}

// readJSON reads up to the end of the object that was begun.
func readJSON(d *json.Decoder, depth int) (element, error) {
	el := element{inner: elements{}}
	for {
		token, err := d.Token()
		if err != nil {
			return element{}, errJSON
		}
		name, ok := token.(string)
		if !ok { // the closing brace: the decoder lets nothing else be here
			return el, nil
		}
		inner, err := readJSONValue(d, name, depth)
		if err != nil {
			return element{}, err
		}
		if err = el.inner.add(name, inner); err != nil {
			return element{}, err
		}
	}
}

func readJSONValue(d *json.Decoder, name string, depth int) (element, error) {
	token, err := d.Token()
	if err != nil {
		return element{}, errJSON
	}
	switch t := token.(type) {
	case string:
		return element{text: t}, nil
	case json.Number:
		return element{text: t.String(), number: true}, nil
	case json.Delim:
		if t == '{' && depth < 1 {
			return readJSON(d, depth+1)
		}
	}
	return element{}, fmt.Errorf("%s is neither text nor number nor a simple object", name)
}
