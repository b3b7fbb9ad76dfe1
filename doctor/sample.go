package doctor

import (
	"bytes"
	"errors"
	"net/url"
	"strings"

	"kefud/kefu"
)

// A Sample is a captured request of WeChat's.
type Sample struct {
	App   kefu.AppID // as its path names it; "" = it does not
	Query url.Values
	Body  []byte
}

var (
	errNoTarget = errors.New("it has no URL with a query that holds signature=")
	errDataFile = errors.New("its body is in another file (@…); write it into the command")
	errQuotes   = errors.New("a quotation in the command is not closed")
)

// ParseSample reads a captured request in one of three forms:
//
//	a curl command, with the body after -d, --data, --data-raw or --data-binary
//	a raw HTTP request: request line, headers, an empty line, the body
//	the URL, or its path, with the query in the first line, and the body below
func ParseSample(text []byte) (Sample, error) {
	text = bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\ufeff")), " \t\r\n")
	if bytes.HasPrefix(text, []byte("curl ")) {
		return parseCurl(string(text))
	}
	first, body, _ := bytes.Cut(text, []byte("\n"))
	for word := range strings.FieldsSeq(string(first)) {
		if !strings.Contains(word, "signature=") {
			continue
		}
		if strings.Contains(string(first), " HTTP/") {
			body = afterHeaders(body)
		}
		return newSample(word, bytes.TrimSpace(body))
	}
	return Sample{}, errNoTarget
}

// afterHeaders gives what follows the first empty line.
func afterHeaders(text []byte) []byte {
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		if len(bytes.TrimSpace(line)) == 0 {
			return rest
		}
		text = rest
	}
	return nil
}

func newSample(target string, body []byte) (Sample, error) {
	u, err := url.Parse(target)
	if err != nil {
		return Sample{}, errNoTarget // the cause repeats the URL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || query.Get("signature") == "" {
		return Sample{}, errNoTarget
	}
	s := Sample{Query: query, Body: body}
	if _, app, ok := strings.Cut(u.Path, "/wechat/"); ok {
		s.App = kefu.AppID(strings.TrimSuffix(app, "/"))
	}
	return s, nil
}

func parseCurl(command string) (Sample, error) {
	words, err := shellWords(command)
	if err != nil {
		return Sample{}, err
	}
	var target, body string
	for i, w := range words {
		switch flag, value, joined := strings.Cut(w, "="); {
		case isData(w) && i+1 < len(words):
			body = words[i+1]
		case joined && isData(flag) && strings.HasPrefix(flag, "--"):
			body = value
		case target == "" && strings.Contains(w, "signature=") && (i == 0 || !isData(words[i-1])):
			target = w
		}
	}
	if strings.HasPrefix(body, "@") {
		return Sample{}, errDataFile
	}
	return newSample(target, []byte(body))
}

func isData(flag string) bool {
	switch flag {
	case "-d", "--data", "--data-raw", "--data-binary", "--data-ascii":
		return true
	}
	return false
}

// unescaped is what a sign after a backslash stands for.
func unescaped(r, quote rune) string {
	switch {
	case r == '\n':
		return ""
	case quote == '"' && !strings.ContainsRune("\"\\$`", r):
		return "\\" + string(r)
	}
	return string(r)
}

// shellWords splits a command as a shell does, without its variables.
func shellWords(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	begun, quote := false, rune(0)
	runes := []rune(command)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case r == '\\' && quote != '\'' && i+1 < len(runes):
			i++
			next := unescaped(runes[i], quote)
			word.WriteString(next)
			begun = begun || next != ""
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		return nil, errQuotes
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
