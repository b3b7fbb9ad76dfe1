package wechat

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMsg bounds APIError.Msg, in bytes.
const maxMsg = 200

// loose is a JSON string, or a number as it was written. Samples and tables of
// WeChat's pages disagree on which a field is; whatever is neither is "".
//
// WeChat, "getonlinekflist",
// https://developers.weixin.qq.com/doc/service/api/customer/servicermanage/api_getonlinekflist,
// read 2026-11: kf_id is a string in the sample, a number in the table.
type loose string

// UnmarshalJSON takes any value and never fails.
func (l *loose) UnmarshalJSON(raw []byte) error {
	*l = ""
	switch c := raw[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*l = loose(s)
	case c == '-' || c >= '0' && c <= '9':
		*l = loose(raw)
	}
	return nil
}

// judgeAnswer decodes an answer into the given struct (nil = nothing but the
// errcode matters) and gives what is wrong with it, nil if it is a success. A
// success may leave errcode out.
func judgeAnswer(status int, body []byte, into any) *APIError {
	if status >= http.StatusInternalServerError {
		return &APIError{Status: status, fault: faultStatus}
	}
	bad := &APIError{Status: status, fault: faultAnswer}
	if len(body) > maxAnswer {
		bad.Msg = "the answer is too long"
		return bad
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		bad.Msg = "the answer is not a JSON object"
		return bad
	}
	var head struct {
		Code json.RawMessage `json:"errcode"`
		Msg  loose           `json:"errmsg"`
	}
	if json.Unmarshal(body, &head) != nil {
		bad.Msg = "the answer is cut or malformed JSON"
		return bad
	}
	code, err := errcode(head.Code)
	switch {
	case err != nil:
		bad.Msg = "the answer's errcode is no number"
		return bad
	case code != 0:
		return &APIError{Code: code, Status: status, Msg: withoutTrace(string(head.Msg))}
	case status < 200 || status > 299:
		return &APIError{Status: status, fault: faultStatus}
	case into != nil && json.Unmarshal(body, into) != nil:
		bad.Msg = "the answer has another form than is documented"
		return bad
	}
	return nil
}

// errcode reads the number, or the number in a string; 0 if there is none.
func errcode(raw json.RawMessage) (int, error) {
	text := string(raw)
	if text == "" || text == "null" {
		return 0, nil
	}
	if inner, ok := strings.CutPrefix(text, `"`); ok {
		text = strings.TrimSuffix(inner, `"`)
	}
	return strconv.Atoi(text)
}

// number gives the value as an integer, 0 for "".
func (l loose) number() (int, error) {
	if l == "" {
		return 0, nil
	}
	return strconv.Atoi(string(l))
}

// withoutTrace cuts what WeChat appends to an errmsg for its own support: a
// request id and hints.
func withoutTrace(msg string) string {
	msg = " " + msg
	for _, mark := range []string{" rid:", " hint:"} {
		msg, _, _ = strings.Cut(msg, mark)
	}
	return strings.TrimSpace(msg)
}

// publicText makes a text from outside fit for an error: one line of at most
// maxMsg bytes, and nothing of it if it repeats something private.
func publicText(s string, private []string) string {
	for _, p := range private {
		if p != "" && (strings.Contains(s, p) || strings.Contains(s, url.QueryEscape(p))) {
			return "(withheld: it repeats what is private)"
		}
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= maxMsg {
		return s
	}
	cut := maxMsg
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
