package wechat

import (
	"context"
	"net/http"

	"kefud/kefu"
)

// typing is a hint that somebody is writing.
//
// WeChat, "客服输入状态",
// https://developers.weixin.qq.com/doc/service/api/customer/message/api_typing,
// read 2026-11.
type typing struct {
	To      string `json:"touser"`
	Command string `json:"command"`
}

// Typing shows a customer for up to 15 s, or until the next message, that
// somebody is writing to him. WeChat takes it only within 30 s of a message of
// either side, and not again while it is shown; that and every other error, an
// *APIError, is no reason to do anything: the hint is lost and nothing else.
//
// A mini-program whose call is refused as unknown or not allowed is not called
// again at the path that older pages had. It would make two calls of each hint
// at an app that has none, for what the pages do not name any more.
func (c *Client) Typing(ctx context.Context, to kefu.CustomerID) error {
	if to.User == "" {
		return &APIError{Op: opTyping, App: to.App, fault: faultRequest, Msg: "no recipient"}
	}
	path := "/cgi-bin/message/custom/business/typing"
	if a := c.account(to.App); a != nil && a.cred.Official {
		path = "/cgi-bin/message/custom/typing"
	}
	return c.call(ctx, to.App, request{
		op:      opTyping,
		method:  http.MethodPost,
		path:    path,
		body:    typing{To: to.User, Command: "Typing"},
		private: []string{to.User},
	}, nil)
}
