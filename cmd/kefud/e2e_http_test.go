package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signed is the query of a request that WeChat signs with the token.
func signed(token string, at time.Time) url.Values {
	q := url.Values{"timestamp": {strconv.FormatInt(at.Unix(), 10)}, "nonce": {"n0nce"}}
	parts := []string{token, q.Get("timestamp"), q.Get("nonce")}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	q.Set("signature", hex.EncodeToString(sum[:]))
	return q
}

const plainText = `<xml><ToUserName>gh_shop</ToUserName><FromUserName>oSomebody0000000000000000000</FromUserName>` +
	`<CreateTime>1700000000</CreateTime><MsgType>text</MsgType><Content>hello</Content><MsgId>%d</MsgId></xml>`

func TestCallbackRefusesWhatWeChatDidNotSend(t *testing.T) {
	t.Parallel()
	safe := strings.Replace(smallConfig, "apps:\n", `apps:
  - {name: bank, app_id: wxbank, token: token-of-bank, encryption: safe, encoding_aes_key: `+testAESKey+`, default_entry: a, entries: [{tag: a}]}
`, 1)
	r := start(t, rigOptions{config: safe})
	now := time.Now()
	good, forged := signed("token-of-shop", now), signed("another-token", now)
	unsigned := signed("token-of-shop", now)
	unsigned.Del("signature")
	message := fmt.Sprintf(plainText, 1)
	for _, tt := range []struct {
		name, method, app string
		query             url.Values
		body              string
		status            int
	}{
		{"a question whether this URL is ours", "GET", "shop", good, "", 200},
		{"a question with a forged signature", "GET", "shop", forged, "", 403},
		{"a question without a signature", "GET", "shop", unsigned, "", 403},
		{"a question for an unknown app", "GET", "nosuch", good, "", 404},
		{"a push", "POST", "shop", good, message, 200},
		{"a push with a forged signature", "POST", "shop", forged, message, 403},
		{"a push without a signature", "POST", "shop", unsigned, message, 403},
		{"a push to an unknown app", "POST", "nosuch", good, message, 404},
		{"a push of 11 minutes ago", "POST", "shop", signed("token-of-shop", now.Add(-11*time.Minute)), message, 403},
		{"a push of 11 minutes ahead", "POST", "shop", signed("token-of-shop", now.Add(11*time.Minute)), message, 403},
		{"a push of 9 minutes ago", "POST", "shop", signed("token-of-shop", now.Add(-9*time.Minute)), fmt.Sprintf(plainText, 2), 200},
		{"a body that is nothing", "POST", "shop", good, "", 400},
		{"a body that is no push", "POST", "shop", good, "hello", 400},
		{"a body that is too long", "POST", "shop", good, strings.Repeat("x", 256<<10+1), 413},
		{"a long body with a forged signature", "POST", "shop", forged, strings.Repeat("x", 256<<10+1), 403},
		{"a message in clear in safe mode", "POST", "bank", signed("token-of-bank", now), message, 403},
		{"another method", "PUT", "shop", good, message, 405},
	} {
		tt.query.Set("echostr", "echo-me")
		req, err := http.NewRequestWithContext(t.Context(), tt.method, r.url+"/wechat/"+tt.app+"?"+tt.query.Encode(), strings.NewReader(tt.body))
		must(t, err)
		status, body := do(t, req)
		if status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, status, tt.status, body)
		}
		if tt.method == "GET" && (body == "echo-me") != (tt.status == 200) {
			t.Errorf("%s: answered with %q", tt.name, body)
		}
	}
	if n := r.metric("kefud_callbacks_total", `app="shop"`, `outcome="Forbidden"`); n != 7 {
		t.Errorf("%v refused signatures counted, want 7", n)
	}
	if n := r.metric("kefud_callbacks_total", `app="nosuch"`); n != 0 {
		t.Error("the name of an unknown app became a label")
	}
}

func TestMiniProgramAsksForALink(t *testing.T) {
	t.Parallel()
	r := start(t, rigOptions{config: smallConfig})
	for _, tt := range []struct {
		body, want string
		status     int
	}{
		{`{"customerId":"cs1"}`, `{"success":true,"url":"/pages/service1"}`, 200},
		{`{"customerId":"cs2"}`, `{"message":"客服ID无效","success":false}`, 404}, // it has no link
		{`{"customerId":"cs9"}`, `{"message":"客服ID无效","success":false}`, 404},
		{`{}`, `{"message":"客服ID无效","success":false}`, 404},
		{`cs1`, `"success":false`, 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/api/getCustomerServiceUrl", strings.NewReader(tt.body))
		must(t, err)
		if status, body := do(t, req); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s, want %d %s", tt.body, status, body, tt.status, tt.want)
		}
	}
}

func TestAdministrationIsForWhoHasTheToken(t *testing.T) {
	t.Parallel()
	open := start(t, rigOptions{config: smallConfig})
	closed := start(t, rigOptions{config: strings.Replace(smallConfig, "token: "+adminToken, `token: ""`, 1)})
	c := open.somebody("shop")
	open.tap(c, "cs1")
	path := "/api/v1/apps/shop/customers/" + c.OpenID() + "/decisions"
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	for _, tt := range []struct {
		name, url string
		header    map[string]string
		status    int
		want      string
	}{
		{"closed", closed.url + path, bearer(""), 403, "admin.token is not set"},
		{"no token", open.url + path, nil, 401, "admin.token"},
		{"another token", open.url + path, bearer("guess"), 401, "admin.token"},
		{"the token without Bearer", open.url + path, map[string]string{"Authorization": adminToken}, 401, "admin.token"},
		{"the token", open.url + path, bearer(adminToken), 200, `"serving":"wang"`},
		{"an unknown customer", open.url + "/api/v1/apps/shop/customers/oNobody/decisions", bearer(adminToken), 404, "nothing is known"},
		{"an unknown app", open.url + "/api/v1/apps/nosuch/customers/oNobody/decisions", bearer(adminToken), 404, "no such app"},
		{"an unknown path", open.url + "/api/v1/nothing", bearer(adminToken), 404, "nothing at this path"},
	} {
		status, body := get(t, tt.url, tt.header)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s, want %d and %s", tt.name, status, body, tt.status, tt.want)
		}
		if strings.Contains(body, c.OpenID()) || strings.Contains(body, adminToken) {
			t.Errorf("%s: the answer tells too much: %s", tt.name, body)
		}
	}
}

// Every metric that README tells an operator to watch exists.
func TestMetricsHaveTheNamesOfTheREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	must(t, err)
	names := regexp.MustCompile("`(kefud_[a-z_]+)`").FindAllStringSubmatch(string(readme), -1)
	if len(names) < 8 {
		t.Fatalf("README names %d metrics", len(names))
	}
	page := pageOfDesk(t)
	for _, name := range names {
		if !regexp.MustCompile("(?m)^" + name[1] + `(_count|_bucket)?[{ ]`).MatchString(page) {
			t.Errorf("/metrics has no %s", name[1])
		}
	}
}
