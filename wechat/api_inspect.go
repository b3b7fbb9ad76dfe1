package wechat

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kefud/kefu"
)

// FetchToken asks WeChat for an app's access token, whatever token the client
// holds, and tells until when it is good. It is the token that everybody has:
// asking makes nobody's die. An error is an *APIError.
func (c *Client) FetchToken(ctx context.Context, app kefu.AppID) (time.Time, error) {
	a := c.account(app)
	if a == nil {
		return time.Time{}, &APIError{Op: opToken, App: app, fault: faultApp, Msg: "there is no such app"}
	}
	t, e := c.fetchToken(ctx, a)
	if e != nil {
		return time.Time{}, e
	}
	return t.Expires, nil
}

// Staff fetches who has an account at the app's desk, online or not. An error is
// an *APIError.
//
// WeChat, "getkflist", the agents standing in kf_list,
// https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt, read 2026-11.
func (c *Client) Staff(ctx context.Context, app kefu.AppID) ([]kefu.Listed, error) {
	var answer struct {
		Agents []struct {
			Account loose `json:"kf_account"`
			User    loose `json:"kf_openid"`
			ID      loose `json:"kf_id"`
		} `json:"kf_list"`
	}
	err := c.call(ctx, app, request{op: opStaff, method: http.MethodGet, path: "/cgi-bin/customservice/getkflist"}, &answer)
	if err != nil {
		return nil, err
	}
	all := make([]kefu.Listed, 0, len(answer.Agents))
	for _, a := range answer.Agents {
		all = append(all, kefu.Listed{Account: string(a.Account), User: string(a.User), ID: string(a.ID)})
	}
	return all, nil
}

// Clock tells how far WeChat's clock is ahead of ours, to about a second: that
// is how exact the date of an HTTP answer is. It asks without a token, so that it
// is answered with an errcode, and the date, whatever is wrong with the apps.
func (c *Client) Clock(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+pathCallbackAddresses, http.NoBody)
	if err != nil {
		return 0, errors.New("ask WeChat for the time: request cannot be built")
	}
	asked := c.now()
	res, err := c.http.Do(req)
	if err != nil {
		e := transportError(ctx, err)
		return 0, errors.New("WeChat's API is not reached: " + e.Msg)
	}
	_ = res.Body.Close() // only its date is read
	answered := c.now()
	date, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return 0, errors.New("WeChat's API says no date")
	}
	const half = time.Second / 2 // the date has lost the fraction of its second
	return date.Add(half).Sub(asked.Add(answered.Sub(asked) / 2)), nil
}
