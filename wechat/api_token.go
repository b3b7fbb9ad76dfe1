package wechat

import (
	"context"
	"net/http"
	"time"

	"kefud/kefu"
)

// maxTokenLife is the longest time a token is kept, whatever its expires_in.
const maxTokenLife = 24 * time.Hour

// fetchToken asks WeChat for the app's token. The force mode is never used: it
// would make the other holders' token die.
//
// WeChat, "获取稳定版接口调用凭据",
// https://developers.weixin.qq.com/doc/channels/API/leagueheadsupplier/getStableAccessToken.html,
// read 2026-11: repeated calls give the same token until 5 minutes before its
// end; then both are good for those 5 minutes. A small expires_in is normal.
func (c *Client) fetchToken(ctx context.Context, a *account) (kefu.Token, *APIError) {
	var answer struct {
		Value loose `json:"access_token"`
		Life  loose `json:"expires_in"` // seconds
	}
	asked := c.now().UTC()
	e := c.exchange(ctx, a, request{
		op:     opToken,
		method: http.MethodPost,
		path:   "/cgi-bin/stable_token",
		body: map[string]string{
			"grant_type": "client_credential", "appid": a.cred.AppID, "secret": a.cred.Secret,
		},
	}, "", &answer)
	if e != nil {
		return kefu.Token{}, ofToken(e)
	}
	seconds, err := answer.Life.number()
	if err != nil || seconds <= 0 || answer.Value == "" {
		return kefu.Token{}, &APIError{
			Op: opToken, App: a.cred.App, Status: http.StatusOK, fault: faultAnswer,
			Msg: "the answer has no token or no expires_in",
		}
	}
	life := maxTokenLife
	if seconds < int(maxTokenLife/time.Second) {
		life = time.Duration(seconds) * time.Second
	}
	return kefu.Token{Value: string(answer.Value), Expires: asked.Add(life)}, nil
}

// ofToken corrects the verdict on a token error that came from the token
// operation itself, which has no token: there 40001 means a wrong secret.
func ofToken(e *APIError) *APIError {
	if e.verdict().class == classToken {
		e.fault = verdict{class: classBury, reason: "bad_secret"}
	}
	return e
}
