package wechat

import (
	"encoding/json"
	"unicode/utf8"
)

// readJSON reads the members of the object. Of several with one name the last
// counts. Raw control characters inside strings, which are no JSON, are read as
// themselves: Tencent's servers are known to send them.
//
// https://github.com/node-webot/co-wechat-api/pull/64,
// https://github.com/zhayujie/CowAgent/pull/2810, read 2026-11.
func readJSON(body []byte, f *fields) bool {
	if scanJSON(string(body), f) {
		return true
	}
	*f = fields{} // what was read until then
	return readStandardJSON(body, f)
}

// readStandardJSON is readJSON of anything, by encoding/json.
func readStandardJSON(body []byte, f *fields) bool {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		if err := json.Unmarshal(escapeControls(body), &members); err != nil {
			return false
		}
	}
	if _, both := members["Encrypt"]; both {
		delete(members, "encrypt")
	}
	for name, raw := range members {
		if slot := f.slot(name); slot != nil {
			*slot = jsonText(raw)
		}
	}
	return true
}

// jsonText gives a string's text, bytes that are no UTF-8 at its end included,
// or a number as it is written: its digits may be more than a float64 holds.
// Anything else is "".
func jsonText(raw json.RawMessage) string {
	switch {
	case len(raw) == 0:
		return ""
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		return string(raw)
	case raw[0] != '"':
		return ""
	}
	inside := raw[1 : len(raw)-1]
	whole := wholeCharacters(inside)
	quoted := append(append(make([]byte, 0, len(raw)), raw[:1+whole]...), '"')
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return ""
	}
	return text + string(inside[whole:])
}

// wholeCharacters counts the bytes of s before a last character that was cut apart.
func wholeCharacters(s []byte) int {
	n := len(s)
	for range utf8.UTFMax - 1 {
		r, size := utf8.DecodeLastRune(s[:n])
		if r != utf8.RuneError || size != 1 {
			break
		}
		n--
	}
	return n
}

// escapeControls escapes the control characters inside the strings of a JSON text.
func escapeControls(text []byte) []byte {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, len(text)+len(text)/8)
	inString, escaped := false, false
	for _, b := range text {
		if inString && b < ' ' {
			out = append(out, '\\', 'u', '0', '0', hex[b>>4], hex[b&0xf])
			escaped = false
			continue
		}
		out = append(out, b)
		switch {
		case escaped:
			escaped = false
		case b == '\\':
			escaped = inString
		case b == '"':
			inString = !inString
		}
	}
	return out
}
