package wechat

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"kefud/kefu"
)

// callbackList is WeChat's answer.
//
// WeChat, "getcallbackip",
// https://developers.weixin.qq.com/doc/offiaccount/en/Basic_Information/Get_the_WeChat_server_IP_address.html,
// read 2026-11: ip_list, single addresses and ranges such as 101.226.103.0/25,
// to be fetched anew once a day.
type callbackList struct {
	Addresses []string `json:"ip_list"`
}

const pathCallbackAddresses = "/cgi-bin/getcallbackip"

// CallbackAddresses fetches the addresses from which WeChat pushes to the app.
// An error is an *APIError; a list that is empty or cannot be read to its end is
// one, since it would refuse WeChat itself.
func (c *Client) CallbackAddresses(ctx context.Context, app kefu.AppID) ([]netip.Prefix, error) {
	var answer callbackList
	err := c.call(ctx, app, request{op: opCallbackAddresses, method: http.MethodGet, path: pathCallbackAddresses}, &answer)
	if err != nil {
		return nil, err
	}
	ranges := make([]netip.Prefix, 0, len(answer.Addresses))
	for _, text := range answer.Addresses {
		r, ok := parseRange(text)
		if !ok {
			return nil, &APIError{Op: opCallbackAddresses, App: app, fault: faultAnswer, Msg: "the list holds what is no address"}
		}
		ranges = append(ranges, r)
	}
	if len(ranges) == 0 {
		return nil, &APIError{Op: opCallbackAddresses, App: app, fault: faultAnswer, Msg: "the list is empty"}
	}
	return ranges, nil
}

// parseRange reads an address or a range.
func parseRange(text string) (netip.Prefix, bool) {
	text = strings.TrimSpace(text)
	if r, err := netip.ParsePrefix(text); err == nil {
		return r.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}
