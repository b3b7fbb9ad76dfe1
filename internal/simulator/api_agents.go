package simulator

import "strconv"

// A listed agent. The fields of the two lists:
// https://developers.weixin.qq.com/doc/service/api/customer/servicermanage/api_getonlinekflist, read 2026-11.
type listed struct {
	KfAccount string `json:"kf_account"`
	Status    *int   `json:"status,omitempty"`
	KfID      any    `json:"kf_id"` // text in samples, a number in the table
	KfOpenID  string `json:"kf_openid,omitempty"`
	Nick      string `json:"kf_nick,omitempty"`
	HeadImg   string `json:"kf_headimgurl,omitempty"`
	Cases     *int   `json:"accepted_case,omitempty"`
}

func (g *Agent) listed() listed {
	l := listed{KfAccount: g.o.KfAccount, KfID: g.o.KfID, KfOpenID: g.o.KfOpenID}
	if g.account.o.Kind == MiniProgram {
		l.KfID = strconv.FormatInt(g.o.KfID, 10)
	}
	return l
}

// agentList is GET /cgi-bin/customservice/getkflist.
func (b *Box) agentList(c call) (any, problem) {
	list := []listed{}
	for _, g := range c.account.agents {
		l := g.listed()
		l.Nick, l.HeadImg = g.o.Nick, "http://mmbiz.qpic.cn/mmbiz/"+strconv.FormatInt(g.o.KfID, 10)+"/300"
		list = append(list, l)
	}
	return map[string]any{"kf_list": list}, problem{}
}

// onlineList is GET /cgi-bin/customservice/getonlinekflist. A mini-program's
// has an empty kf_account and no accepted_case, as in its sample, and says
// status 0 of who is away; an official account's leaves them out.
func (b *Box) onlineList(c call) (any, problem) {
	a := c.account
	a.expire()
	list := []listed{}
	for _, g := range a.agents {
		if a.o.Kind == OfficialAccount && !g.online {
			continue
		}
		l, status, cases := g.listed(), 0, len(g.serving)
		if g.online {
			status = g.o.Status
		}
		l.Status = &status
		if a.o.Kind == OfficialAccount {
			l.Cases = &cases
		}
		if !a.o.ShowKfAccounts {
			l.KfAccount = ""
		}
		list = append(list, l)
	}
	return map[string]any{"kf_online_list": list}, problem{}
}
