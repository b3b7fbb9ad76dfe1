package wechat

import (
	"context"
	"net/http"

	"kefud/kefu"
)

// onlineList is WeChat's answer.
//
// WeChat, "getonlinekflist",
// https://developers.weixin.qq.com/doc/service/api/customer/servicermanage/api_getonlinekflist,
// read 2026-11. For mini-programs kf_account is "" in the sample and kf_openid
// the identifier. status is 0 for offline; older editions know 1, 2 and 3 for
// the ways of being online.
type onlineList struct {
	Agents []struct {
		Account loose `json:"kf_account"`
		User    loose `json:"kf_openid"`
		ID      loose `json:"kf_id"`
		Status  loose `json:"status"`
	} `json:"kf_online_list"`
}

// OnlineList fetches who is online at the app's desk at WeChat. Its time is
// that of the question, so the list is never older than it says. An error is an
// *APIError.
func (c *Client) OnlineList(ctx context.Context, app kefu.AppID) (kefu.OnlineList, error) {
	asked := c.now().UTC()
	rows, err := c.OnlineRows(ctx, app)
	if err != nil {
		return kefu.OnlineList{}, err
	}
	list := kefu.OnlineList{At: asked, Agents: make([]kefu.Listed, 0, len(rows))}
	for _, r := range rows {
		if r.Online && r.Listed != (kefu.Listed{}) {
			list.Agents = append(list.Agents, r.Listed)
		}
	}
	return list, nil
}

// An OnlineRow is one agent of the online list, in which mini-programs also have
// who is offline.
type OnlineRow struct {
	kefu.Listed
	Online bool
}

// OnlineRows fetches the online list with everybody in it. An error is an
// *APIError.
func (c *Client) OnlineRows(ctx context.Context, app kefu.AppID) ([]OnlineRow, error) {
	var answer onlineList
	err := c.call(ctx, app, request{
		op: opOnlineList, method: http.MethodGet, path: "/cgi-bin/customservice/getonlinekflist",
	}, &answer)
	if err != nil {
		return nil, err
	}
	rows := make([]OnlineRow, 0, len(answer.Agents))
	for _, a := range answer.Agents {
		status, bad := a.Status.number()
		rows = append(rows, OnlineRow{
			Listed: kefu.Listed{Account: string(a.Account), User: string(a.User), ID: string(a.ID)},
			Online: bad == nil && status > 0,
		})
	}
	return rows, nil
}
