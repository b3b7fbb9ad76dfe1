package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// transcript runs `kefud export` and gives the lines it prints, as
// "direction agent text state reason".
func (r *rig) transcript(o rigOptions, c *simulator.Customer) []string {
	r.t.Helper()
	args := []string{"export", "--app", c.Account().Name(), "--openid", c.OpenID()}
	if o.redis == nil {
		args = append(args, "--server", r.url)
	}
	code, printed := r.command(o, args...)
	if code != exitDone {
		r.t.Fatalf("export ends with %d: %s", code, printed)
	}
	var said []string
	for l := range strings.Lines(printed) {
		var s kefu.Saying
		if err := json.Unmarshal([]byte(l), &s); err != nil {
			r.t.Fatalf("export prints %q: %v", l, err)
		}
		text := s.Text
		if s.Picture {
			text = "picture"
		}
		said = append(said, strings.TrimSpace(strings.Join([]string{string(s.Direction), string(s.Agent), text, s.State, s.Reason}, " ")))
	}
	return said
}

// exported waits until the transcript is this.
func (r *rig) exported(o rigOptions, c *simulator.Customer, want []string) {
	r.t.Helper()
	all := func() []string {
		said, err := r.server.store.Sayings(r.t.Context(), id(c), 0)
		must(r.t, err)
		var states []string
		for _, s := range said {
			states = append(states, s.State)
		}
		return states
	}
	eventually(r.t, "what became of all is noted", func() bool {
		states := all()
		for i, w := range want {
			if i >= len(states) || !strings.Contains(w, " "+states[i]) {
				return false
			}
		}
		return len(states) == len(want)
	})
	if got := r.transcript(o, c); !slices.Equal(got, want) {
		r.t.Errorf("exported %q, want %q", got, want)
	}
}

func TestExportPrintsBothDirectionsAndWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		o := relayOptions(redis, nil)
		r := start(t, o)
		wang := r.bound("wang")[0]
		c, other := r.arrives("cs1", "<你好> & 谢谢"), r.arrives("cs1", "别人的话")
		wang.reads(line(2, "售前", "别人的话"))
		wang.answers("第一行\n第二行")
		r.hears(c, "第一行\n第二行")
		_, push := r.image(c)
		r.send(push)
		r.pictures(wang.user, 1)
		heal := r.box.BreakAPI(simulator.APIBreak{Path: sendPath, Account: r.accounts["shop"], ErrCode: 48001})
		wang.answers("送不到的话")
		wang.reads("会话 #1 的回复没有送达：小程序没有发送客服消息的权限。内容：送不到的话")
		heal()
		for _, text := range []string{"三", "四", "五", "六", "七"} { // WeChat did not count the one that it refused
			wang.says(text)
			r.hears(c, text)
		}
		wang.asks("八", "这条已保留")
		r.exported(o, c, []string{
			"customer wang <你好> & 谢谢 sent", "agent wang 第一行\n第二行 sent", "customer wang picture sent",
			"agent wang 送不到的话 undeliverable unauthorized",
			"agent wang 三 sent", "agent wang 四 sent", "agent wang 五 sent", "agent wang 六 sent", "agent wang 七 sent", "agent wang 八 accepted",
		})
		r.exported(o, other, []string{"customer wang 别人的话 sent"})
		r.well()
	})
}

// everything is all that Redis holds, but for records of single pushes, which
// end within a minute. (Strings are not compressed; see below.)
func everything(redis *redistest.Server) string {
	return redis.MustDo("EVAL", `
		local all = {}
		for _, key in ipairs(redis.call('KEYS', '*')) do
			local ttl = redis.call('PTTL', key)
			if ttl < 0 or ttl > 60000 then all[#all + 1] = key .. ' ' .. redis.call('DUMP', key) end
		end
		return table.concat(all, '\n')`, "0")
}

func startUncompressed(t *testing.T) *redistest.Server {
	t.Helper()
	return redistest.Start(t, "--rdbcompression", "no")
}

// With a key, what people say cannot be read in Redis, wherever it is kept. (A
// config without one shows that it could be found.)
func TestTextsCannotBeReadInRedis(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{true, false} {
		t.Run(map[bool]string{true: "key", false: "no key"}[sealed], func(t *testing.T) {
			t.Parallel()
			o := relayOptions(startUncompressed(t), nil)
			if !sealed {
				o.config = strings.Replace(relayConfig, `, key: "${TRANSCRIPT_KEY:-MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}"`, "", 1)
			}
			r := start(t, o)
			chats := r.bound("wang", "li")
			wang := chats[0]
			c := r.arrives("cs1", "Kunde-eins")
			wang.reads(line(1, "售前", "Kunde-eins"))
			for _, text := range []string{"Antwort-1", "Antwort-2", "Antwort-3", "Antwort-4", "Antwort-5", "Antwort-kept"} {
				wang.says(text)
			}
			r.hears(c, "Antwort-5")
			r.box.BreakAPI(simulator.APIBreak{Path: sendPath, Account: r.accounts["shop"], ErrCode: 48001})
			other := r.somebody("shop")
			r.writes(other, "Kunde-zwei")
			wang.says("#2 Antwort-buried")
			r.await("Wang is told", func() bool { return strings.Contains(strings.Join(wang.lines(), "\n"), "Antwort-buried") })
			for _, text := range []string{"Kunde-a", "Kunde-b", "Kunde-c", "Kunde-d", "Kunde-held"} {
				r.writes(other, text)
			}
			wang.asks("#2 转给 li", "已转给李先生")
			found := everything(o.redis)
			for _, text := range []string{"Kunde-eins", "Kunde-zwei", "Antwort-1", "Antwort-kept", "Antwort-buried", "Kunde-held"} {
				if strings.Contains(found, text) == sealed {
					t.Errorf("%s: found %t", text, sealed)
				}
			}
		})
	}
}

// After `kefud forget` nothing is left of a customer, and nothing is missing of others.
func TestForgetRemovesAllOfACustomer(t *testing.T) {
	t.Parallel()
	o := relayOptions(startUncompressed(t), map[string]string{"TIMEOUT": "10m"})
	r := start(t, o)
	wang := r.bound("wang", "li")[0]
	c, other := r.arrives("cs1", "vergiss-mich"), r.arrives("cs1", "nicht-mich")
	wang.reads(line(2, "售前", "nicht-mich"))
	for _, text := range []string{"eins", "zwei", "drei", "vier", "fünf", "sechs"} {
		wang.says(text)
	}
	r.hears(c, "fünf")
	for _, text := range []string{"a", "b", "c", "d", "e"} {
		r.writes(c, "vergiss-auch-"+text)
	}
	if !strings.Contains(everything(o.redis), c.OpenID()) {
		t.Fatal("there is nothing to forget")
	}
	args := []string{"forget", "--app", "shop", "--openid", c.OpenID()}
	if code, printed := r.command(o, args...); code != exitUsage || !strings.Contains(printed, "--yes") {
		t.Errorf("without --yes it ends with %d: %s", code, printed)
	}
	if code, printed := r.command(o, append(args, "--yes")...); code != exitDone || strings.Contains(printed, c.OpenID()) {
		t.Errorf("it ends with %d: %s", code, printed)
	}
	for l := range strings.Lines(everything(o.redis)) {
		if i := strings.Index(l, c.OpenID()); i >= 0 {
			key, _, _ := strings.Cut(l, " ")
			t.Errorf("he is found in %.80q: %.200q", key, l[max(0, i-60):])
		}
	}
	if code, printed := r.command(o, "export", "--app", "shop", "--openid", c.OpenID()); code != exitFailed || !strings.Contains(printed, "no message") {
		t.Errorf("export ends with %d: %s", code, printed)
	}
	if code, _ := r.command(o, append(args, "--yes")...); code != exitDone {
		t.Errorf("once more it ends with %d", code)
	}
	if code, _ := r.command(o, "forget", "--app", "nosuch", "--openid", "x", "--yes"); code != exitUsage {
		t.Errorf("of no app it ends with %d", code)
	}
	if list := wang.says("列表"); strings.Contains(list, "vergiss") || !strings.Contains(list, "nicht-mich") {
		t.Errorf("列表: %q", list)
	}
	r.exported(o, other, []string{"customer wang nicht-mich sent"})
	wang.answers("#2 wir kennen uns")
	r.hears(other, "wir kennen uns")
	r.writes(c, "wieder-da") // as somebody new
	wang.reads(line(3, "售前", "wieder-da"))
}

func TestForgetOverHTTP(t *testing.T) {
	t.Parallel()
	r := relaying(t, nil, nil)
	wang := r.bound("wang")[0]
	c := r.arrives("cs1", "vergiss-mich")
	wang.reads(line(1, "售前", "vergiss-mich"))
	ask := func(method, path string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+"/api/v1/apps/shop/customers/"+c.OpenID()+path, http.NoBody)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+adminToken)
		code, _ := do(t, req)
		return code
	}
	if code := ask(http.MethodGet, "/transcript"); code != http.StatusOK {
		t.Errorf("transcript: %d", code)
	}
	if code := ask(http.MethodDelete, ""); code != http.StatusNoContent {
		t.Errorf("forget: %d", code)
	}
	if code := ask(http.MethodGet, "/transcript"); code != http.StatusNotFound {
		t.Errorf("transcript of who is forgotten: %d", code)
	}
	if list := wang.says("列表"); strings.Contains(list, "vergiss") {
		t.Errorf("列表: %q", list)
	}
	r.well()
}
