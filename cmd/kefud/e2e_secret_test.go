package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/config"
	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// onDisk writes the config that a rig runs with as a file of its own, for
// commands that read one.
func (r *rig) onDisk(text, addr string, env map[string]string) string {
	r.t.Helper()
	values := []string{"${API:-http://127.0.0.1:1}", r.config.WeChat.APIBase, "${ADDR:-}", addr}
	for name, value := range env {
		values = append(values, "${"+name+":-}", value)
	}
	return file(r.t, "config.yaml", strings.NewReplacer(values...).Replace(text))
}

// Whatever goes wrong, nobody reads secrets, texts or openids in what the server
// tells of itself.
func TestSecretsTextsAndOpenIDsAppearNowhere(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	allowKefud(redis)
	const word = "Ein-geheimes-Wort"
	text := strings.Replace(unlimited(smallConfig), "    transfer_to_agent", "    encryption: compatible\n    encoding_aes_key: "+testAESKey+"\n    transfer_to_agent", 1)
	r := start(t, rigOptions{config: text, redis: redis, env: kefudUser})
	var people []*simulator.Customer
	play := func() {
		c := r.somebody("shop")
		people = append(people, c)
		r.tap(c, "cs1&page="+word)
		r.send(c.Text(word))
		r.leave(c)
		push := c.Card(word, "/pages/"+word)
		r.send(push)
		_, err := push.Repush(t.Context())
		must(t, err)
	}
	play()
	r.reads(people[0], 1)
	secrets := map[string]string{
		"token": "token-of-shop", "app secret": "secret-of-shop", "AES key": testAESKey, "Redis password": "redis-password",
		"admin token": adminToken, "text": word, "access token": r.accessToken("shop"),
	}

	for _, broken := range []simulator.APIBreak{
		{Reset: true},
		{Status: 500},
		{Status: 200},
		{ErrCode: 48001},
		{ErrCode: 40003},
		{ErrCode: 40001},
		{Truncate: true},
		{Latency: time.Minute},
	} {
		heal := r.box.BreakAPI(broken)
		play()
		eventually(t, "the trouble is over for this customer", func() bool {
			return r.metric("kefud_outbox_deliveries_total") >= float64(len(people))
		})
		heal()
	}
	r.forge(word)
	redis.MustDo("ACL", "SETUSER", "kefud", "resetpass", ">another")
	redis.MustDo("CLIENT", "KILL", "USER", "kefud")
	play()
	eventually(t, "the store is seen to be degraded", func() bool { return !r.server.store.Health().OK })
	_, degraded := get(t, r.url+"/readyz", nil)
	redis.MustDo("ACL", "SETUSER", "kefud", ">redis-password")
	r.recovers()

	path := r.onDisk(text, redis.Addr, kefudUser)
	explained := kefud(t.Context(), "explain", "--config", path, "--app", "shop", "--openid", people[0].OpenID())
	if explained.code != exitDone {
		t.Errorf("explain ends with %d: %s", explained.code, explained.stderr)
	}
	unknown := kefud(t.Context(), "explain", "--config", path, "--app", "shop", "--openid", "oSomebodyWhomNobodyHasSeen00")
	_, ready := get(t, r.url+"/readyz", nil)
	_, metrics := get(t, r.url+"/metrics", nil)
	for i, c := range people {
		secrets[fmt.Sprintf("openid %d", i)] = c.OpenID()
	}
	secrets["unknown openid"] = "oSomebodyWhomNobodyHasSeen00"
	for place, told := range map[string]string{
		"log": r.log.String(), "/readyz": ready, "/readyz in trouble": degraded, "/metrics": metrics,
		"explain": explained.stdout + explained.stderr, "explain of nobody": unknown.stdout + unknown.stderr,
	} {
		for what, secret := range secrets {
			if i := strings.Index(told, secret); i >= 0 {
				t.Errorf("%s has the %s: %.200s", place, what, told[max(0, i-100):])
			}
		}
	}
}

// accessToken asks the simulated WeChat for the token that the server has for an
// app: the stable interface gives everybody the same.
func (r *rig) accessToken(app string) string {
	r.t.Helper()
	i := slices.IndexFunc(r.config.Apps, func(a config.App) bool { return string(a.Name) == app })
	body := `{"grant_type":"client_credential","appid":"` + r.config.Apps[i].AppID + `","secret":"secret-of-` + app + `"}`
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.config.WeChat.APIBase+tokenPath, strings.NewReader(body))
	must(r.t, err)
	_, answer := do(r.t, req)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	must(r.t, json.Unmarshal([]byte(answer), &token))
	return token.AccessToken
}

// forge sends what is no push of WeChat's.
func (r *rig) forge(text string) {
	r.t.Helper()
	for _, token := range []string{"token-of-shop", "forged"} {
		for _, body := range []string{text, fmt.Sprintf(plainText, 1), `{"Encrypt":"` + text + `"}`} {
			req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost,
				r.url+"/wechat/shop?"+signed(token, time.Now()).Encode(), strings.NewReader(body))
			must(r.t, err)
			do(r.t, req)
		}
	}
}
