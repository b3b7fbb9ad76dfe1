package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kefud/internal/simulator"
	"kefud/internal/soak"
)

// fromWeChat lets pushes in from WeChat's addresses alone, and has a proxy before
// the server.
func fromWeChat(config string) string {
	return strings.Replace(strings.Replace(config, "wechat: {", "wechat: {callback_addresses: wechat, ", 1),
		"admin: {", "trusted_proxies: [127.0.0.1]\nadmin: {", 1)
}

// pushFrom sends a push that a proxy says to come from an address; "" has no
// proxy in between.
func (r *rig) pushFrom(address string, id int) int {
	r.t.Helper()
	url := r.url + "/wechat/shop?" + signed("token-of-shop", time.Now()).Encode()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, url, strings.NewReader(fmt.Sprintf(plainText, id)))
	must(r.t, err)
	if address != "" {
		req.Header.Set("X-Forwarded-For", address)
	}
	code, _ := do(r.t, req)
	return code
}

// Correctly signed pushes from elsewhere than WeChat are refused once WeChat has
// said where it pushes from, whatever they claim; until then nobody is.
func TestReliableCallbackAddresses(t *testing.T) {
	t.Parallel()
	const path = "/cgi-bin/getcallbackip"
	r := newRig(t, rigOptions{
		config: fromWeChat(smallConfig), box: simulator.Options{PushesFrom: []string{"198.51.100.7", "203.0.113.0/24"}},
	})
	eventually(t, "the addresses are known", func() bool { return r.metric("kefud_callback_addresses") == 2 })
	accepted, refused := 0, 0
	for i, tt := range []struct {
		address string
		want    int
	}{
		{"198.51.100.7", 200},
		{"203.0.113.200", 200},
		{"::ffff:203.0.113.9", 200},
		{"198.51.100.8", 403},
		{"203.0.114.1", 403},
		{"", 403}, // the proxy itself
		{"127.0.0.1", 403},
		{"2001:db8::1", 403},
		{"203.0.113.1, 192.0.2.1", 403}, // who connects to the proxy has claimed the first
		{"192.0.2.1, 203.0.113.1", 200},
		{"nonsense", 403},
		{strings.Repeat("203.0.113.1,", 100), 403},
	} {
		if tt.want == http.StatusOK {
			accepted++
		} else {
			refused++
		}
		if code := r.pushFrom(tt.address, 1000+i); code != tt.want {
			t.Errorf("a push from %q: %d, want %d", tt.address, code, tt.want)
		}
	}
	if n := r.metric("kefud_callbacks_total", `app="shop"`, `outcome="address"`); n != float64(refused) {
		t.Errorf("%v refused addresses counted, want %d", n, refused)
	}
	if code, body := get(t, r.url+"/wechat/shop?echostr=e&"+signed("token-of-shop", time.Now()).Encode(), nil); code != 200 || body != "e" {
		t.Errorf("the question whether the URL is ours: %d %s", code, body)
	}

	deaf := newRig(t, rigOptions{
		config: fromWeChat(smallConfig), account: func(o *simulator.AccountOptions) { o.Secret = "another-secret" },
	})
	eventually(t, "the server says that it does not know them", func() bool {
		return strings.Contains(deaf.log.String(), "pushes are let in from everywhere")
	})
	if code := deaf.pushFrom("192.0.2.1", 1); code != 200 {
		t.Errorf("a push while WeChat has not said where it pushes from: %d, want 200", code)
	}
	if n := deaf.metric("kefud_callback_addresses"); n != 0 {
		t.Errorf("%v addresses known", n)
	}
	if n := r.box.Calls(path)[0]; n != 1 {
		t.Errorf("WeChat was asked %d times, want once", n)
	}
	soak.Measured(t, "callback-addresses", "%d signed pushes from elsewhere refused, %d from WeChat answered; all let in while WeChat does not tell", refused, accepted)
}
