package wechat

import (
	"context"
	"net/http"
	"strings"
	"unicode"

	"kefud/kefu"
)

// outgoing is a text for a customer.
//
// WeChat, "发送客服消息",
// https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage,
// read 2026-11.
type outgoing struct {
	To   string       `json:"touser"`
	Type string       `json:"msgtype"`
	Text outgoingText `json:"text"`
}

type outgoingText struct {
	Content string `json:"content"`
}

// SendText sends a text to a customer, once: nothing but a refused token makes
// it repeat. Line breaks and tabs are kept, other control characters dropped.
// An error is an *APIError; if it is MaybeSent, the text may have arrived.
func (c *Client) SendText(ctx context.Context, to kefu.CustomerID, text string) error {
	clean := printable(text)
	if to.User == "" || strings.TrimSpace(clean) == "" {
		return &APIError{Op: opSend, App: to.App, fault: faultRequest, Msg: "no recipient or no text"}
	}
	return c.call(ctx, to.App, request{
		op:       opSend,
		method:   http.MethodPost,
		path:     "/cgi-bin/message/custom/send",
		body:     outgoing{To: to.User, Type: "text", Text: outgoingText{Content: clean}},
		private:  []string{to.User, clean},
		delivers: true,
	}, nil)
}

// printable drops what JSON can write only as a \u escape.
func printable(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || r == '\u2028' || r == '\u2029':
			return '\n'
		case unicode.IsControl(r):
			return -1
		default:
			return r
		}
	}, text)
}
