package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/internal/soak"
	"kefud/kefu"
	"kefud/wechat"
)

// bombs are bodies that are known to have brought down, or to have opened,
// whatever read them. Each fits into what is read of a body.
func bombs() map[string]string {
	const room = maxBody - 4096
	many := func(text string, in string, of int) string {
		return strings.Replace(in, "…", strings.Repeat(text, of/len(text)), 1)
	}
	message := func(content string) string {
		return `<xml><ToUserName>gh_1</ToUserName><FromUserName>` + openid + `</FromUserName><CreateTime>1</CreateTime>` +
			`<MsgType>text</MsgType><Content>` + content + `</Content><MsgId>1</MsgId></xml>`
	}
	object := func(content string) string {
		return `{"ToUserName":"gh_1","FromUserName":"` + openid + `","CreateTime":1,"MsgType":"text","MsgId":1,"Content":` + content + `}`
	}
	var laughs strings.Builder
	laughs.WriteString(`<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY l0 "ha">`)
	for i := range 30 {
		fmt.Fprintf(&laughs, `<!ENTITY l%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&l%d;", i), 10))
	}
	laughs.WriteString("]>")
	deep := room / 7
	return map[string]string{
		"a billion laughs":              laughs.String() + message("&l30;"),
		"laughs without a declaration":  message(strings.Repeat("&l30;", room/8)),
		"a file of ours":                `<!DOCTYPE xml [<!ENTITY f SYSTEM "file:///etc/passwd">]>` + message("&f;"),
		"a page of ours":                `<!DOCTYPE xml [<!ENTITY f SYSTEM "http://127.0.0.1/">]>` + message("&f;"),
		"a DTD from elsewhere":          `<!DOCTYPE xml SYSTEM "http://127.0.0.1/x.dtd">` + message("a"),
		"parameter entities":            `<!DOCTYPE xml [<!ENTITY % a "b"> %a;]>` + message("a"),
		"an include":                    message(`<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>`),
		"elements without an end":       strings.Repeat("<a>", room/3),
		"elements within elements":      strings.Repeat("<a>", deep) + strings.Repeat("</a>", deep),
		"elements within Content":       message(strings.Repeat("<a>", deep) + strings.Repeat("</a>", deep)),
		"ends without a beginning":      "<xml>" + strings.Repeat("</a>", room/4),
		"many elements":                 many("<a/>", "<xml>…</xml>", room),
		"many sections that end late":   many("<a><![CDATA[]] ></a >", "<xml>…</xml>", room),
		"many sections with long names": many("<"+strings.Repeat("n", 80)+"><![CDATA[]]> </"+strings.Repeat("n", 80)+" >", "<xml>…</xml>", room),
		"many sections within elements": many("<a><![CDATA[]]><![CDATA[]]> </a>", "<xml>…<a><![CDATA[]]></a></xml>", room-100),
		"many ends of sections":         message(many("]]>", "<![CDATA[…]]>", room)),
		"sections of nothing":           message(many("<![CDATA[]]>", "…", room)),
		"comments":                      message(many("<!---->", "…", room)),
		"a comment without an end":      message("<!--" + strings.Repeat("-", room)),
		"instructions":                  message(many("<?a?>", "…", room)),
		"attributes":                    many(` a="b"`, "<xml…>", room),
		"an attribute without an end":   many("a", `<xml a="…`, room),
		"a name without an end":         "<" + strings.Repeat("x", room),
		"references":                    message(many("&#x41;", "…", room)),
		"references to nothing":         message(many("&", "…", room)),
		"references beyond all":         message("&#x110000;&#99999999999999999999;&#0;&#xd800;"),
		"white space":                   strings.Repeat(" ", room) + message("a"),
		"NUL":                           message(strings.Repeat("\x00", room)),
		"no UTF-8":                      message(strings.Repeat("\xff\xc0\x80", room/3)),
		"lists within lists":            object(strings.Repeat("[", room)),
		"closed lists within lists":     object(strings.Repeat("[", room/2) + strings.Repeat("]", room/2)),
		"objects within objects":        strings.Repeat(`{"a":`, room/5),
		"one name many times":           many(`"Content":"a",`, `{…"FromUserName":"`+openid+`","MsgType":"text"}`, room),
		"many names":                    strings.TrimSuffix(object(`""`), "}") + names(room/24) + "}",
		"names that differ in case":     `{"msgtype":"text","MSGTYPE":"event","MsgType":"text","fromusername":"x","FromUserName":"` + openid + `"}`,
		"a number of 250,000 digits":    object(strings.Repeat("9", room-200)),
		"a great power":                 strings.Replace(object(`"a"`), `"MsgId":1`, `"MsgId":1e999999999`, 1),
		"times beyond all":              strings.Replace(object(`"a"`), `"CreateTime":1`, `"CreateTime":99999999999999999999`, 1),
		"a time below zero":             strings.Replace(object(`"a"`), `"CreateTime":1`, `"CreateTime":-9223372036854775808`, 1),
		"an id beyond 64 bits":          strings.Replace(object(`"a"`), `"MsgId":1`, `"MsgId":-340282366920938463463374607431768211456`, 1),
		"halves of characters":          object(`"` + strings.Repeat(`\ud800`, room/8) + `"`),
		"escaped NUL":                   object(`"` + strings.Repeat(`\u0000`, room/8) + `"`),
		"raw control characters":        object(`"` + strings.Repeat("\x01", room/2) + `"`),
		"JSON that is no UTF-8":         object(`"` + strings.Repeat("\xff", room/2) + `"`),
		"a text without an end":         object(`"` + strings.Repeat(`\"`, room/2)),
		"all types wrong":               `{"ToUserName":[],"FromUserName":{},"CreateTime":"x","MsgType":true,"Event":null,"MsgId":[1]}`,
		"a ciphertext that is none":     envelope(strings.Repeat("A", room), true),
		"an empty ciphertext":           envelope("", false),
		"a ciphertext that is a list":   `{"Encrypt":["a"],"encrypt":{"a":1}}`,
		"a tag of 128 kB":               enter(strings.Repeat("x", 128<<10)),
		"a tag of brackets":             enter(strings.Repeat("{[", 400)),
		"a tag of percent signs":        enter(strings.Repeat("%25", 330)),
		"a tag of ampersands":           enter(strings.Repeat("&", 990)),
		"an openid with a hash tag":     strings.Replace(message("a"), openid, "o{agents}:taken:wang", 1),
		"an openid with a line break":   strings.Replace(message("a"), openid, "o&#10;ERROR", 1),
		"an openid of 100 kB":           strings.Replace(message("a"), openid, strings.Repeat("o", 100_000), 1),
		"an openid that climbs":         strings.Replace(message("a"), openid, "../../etc/passwd", 1),
		"an openid that is a template":  strings.Replace(message("a"), openid, "{{.Agent}}${jndi:ldap://127.0.0.1/}", 1),
		"words that are a template":     message("{{.Agent}} {{range $i := .}}{{end}} ${jndi:ldap://127.0.0.1/}"),
		"words that are terminal codes": message("&#27;[2J\x1b]0;x\x07\r\n{\"level\":\"error\"}"),
		"an event of 100 kB":            strings.Replace(enter("cs1"), "user_enter_tempsession", strings.Repeat("e", 100_000), 1),
		"a type that is a label":        strings.Replace(message("a"), "text", `text",app="x"} 1`, 1),
		"gzip":                          "\x1f\x8b\x08\x00" + strings.Repeat("\x00", 1000),
		"a form":                        "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"/etc/passwd\"\r\n\r\n" + strings.Repeat("x", 1000) + "\r\n--x--",
	}
}

// names are members of an object, each with a name of its own.
func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"n%09d":"%d"`, i, i%10)
	}
	return b.String()
}

// enter is a tap on a button with a tag.
func enter(tag string) string {
	return `<xml><ToUserName>gh_1</ToUserName><FromUserName>` + openid + `</FromUserName><CreateTime>1</CreateTime>` +
		`<MsgType>event</MsgType><Event>user_enter_tempsession</Event><SessionFrom><![CDATA[` + tag + `]]></SessionFrom></xml>`
}

// disarmed fails unless a body was answered as any push or unreadable body is,
// and what came to the router keeps within its bounds.
func (g *target) disarmed(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	taken := g.taken()
	if routed := len(taken) == 1; routed != (w.Code == http.StatusOK) || !routed && w.Code != http.StatusBadRequest && w.Code != http.StatusForbidden {
		t.Fatalf("%s: %d %.200s, %d routed", name, w.Code, w.Body, len(taken))
	}
	if strings.Contains(w.Body.String(), "root:") {
		t.Fatalf("%s: the answer holds a file: %.200s", name, w.Body)
	}
	for _, m := range taken {
		if len(m.Customer.User) > 128 || len(m.Tag) > 1000 || len(m.Type) > 64 || len(m.Key) > 256 || strings.ContainsAny(m.Customer.User, ":{}\n ") {
			t.Fatalf("%s: %+v is out of bounds", name, m)
		}
	}
}

// swallow has the target read a body, and tells what time and memory that took.
func (g *target) swallow(t *testing.T, name string, p parcel) (time.Duration, uint64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	w := g.send(p)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	g.disarmed(t, name+" at "+p.app, w)
	return took, after.TotalAlloc - before.TotalAlloc
}

// Bodies made to use up memory or time, or to have a parser fetch something, are
// read like any other, signed as they are.
func TestReliableBombs(t *testing.T) { //nolint:paralleltest // it measures what its process allocates
	g := newTarget(t)
	const limit = time.Second
	all := bombs()
	var longest time.Duration
	var most uint64
	slowest, largest := "", ""
	for name, body := range all {
		sealed := cipherText(body, bankID)
		for _, p := range []parcel{
			{"plain", attackSigned("token-of-plain", g.now, attackNonce, ""), body},
			{"open", attackSigned(bankToken, g.now, attackNonce, ""), body},
			{"bank", attackSigned(bankToken, g.now, attackNonce, sealed), envelope(sealed, false)},
		} {
			if len(p.body) > maxBody {
				continue // sealed it is a third longer, and cut by its length
			}
			took, used := g.swallow(t, name, p)
			for again := 0; took > limit/20 && again < 3; again++ { // the machine may have been at something else
				next, _ := g.swallow(t, name, p)
				took = min(took, next)
			}
			if took > longest {
				longest, slowest = took, name
			}
			if used > most {
				most, largest = used, name
			}
		}
	}
	if longest > limit {
		t.Errorf("%s took %s", slowest, longest)
	}
	if most > 32<<20 {
		t.Errorf("%s took %d MiB", largest, most>>20)
	}
	if strings.Contains(g.log.String(), "request broke") || strings.Contains(g.log.String(), "\x1b") {
		t.Errorf("the log:\n%.2000s", g.log.String())
	}
	soak.Measured(t, "bombs", "%d bodies of up to 256 KiB, each in clear and encrypted; the slowest %.0f ms (%s), the largest %.1f MiB (%s)",
		len(all), float64(longest.Microseconds())/1e3, slowest, float64(most)/(1<<20), largest)
}

// Whatever a signed push holds, it is answered like a push or refused like an
// unreadable body, and nothing breaks.
func FuzzCallback(f *testing.F) {
	for _, body := range bombs() {
		if len(body) < 4096 {
			f.Add("bank", "", body, true)
			f.Add("plain", "&openid=x", body, false)
		}
	}
	f.Add("open", "&encrypt_type=aes&msg_signature=%zz", letter(1), true)
	f.Add("..%2f..%2fetc", "&signature=&signature=;", "", false)
	g := newTarget(f)
	f.Fuzz(func(t *testing.T, app, query, body string, seal bool) {
		g.log.Reset()
		g.now = g.now.Add(remindEvery) // what is refused is logged again
		tokens := map[string]string{"bank": bankToken, "twin": bankToken, "open": bankToken, "other": "token-of-other", "plain": "token-of-plain"}
		ciphertext := ""
		if seal {
			ciphertext = cipherText(body, bankID)
			body = envelope(ciphertext, len(body)%2 == 0)
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/wechat/x", strings.NewReader(body))
		req.URL.Path = "/wechat/" + app
		req.URL.RawQuery = attackSigned(tokens[app], g.now, attackNonce, ciphertext).Encode() + query
		w := httptest.NewRecorder()
		g.ServeHTTP(w, req)
		if tokens[app] == "" {
			if w.Code == http.StatusOK || len(g.taken()) > 0 {
				t.Fatalf("app %q: %d", app, w.Code)
			}
			return
		}
		if w.Code != http.StatusRequestEntityTooLarge {
			g.disarmed(t, app, w)
		}
		if strings.Contains(g.log.String(), "request broke") {
			t.Fatalf("the log: %s", g.log.String())
		}
	})
}

// watched counts what administration has done.
type watched struct {
	books
	asked int
}

func (o *watched) Invite(ctx context.Context, i kefu.Invitation) error {
	o.asked++
	return o.books.Invite(ctx, i)
}

func (o *watched) Chats(ctx context.Context) ([]kefu.Chat, error) {
	o.asked++
	return o.books.Chats(ctx)
}

func (o *watched) Unbind(ctx context.Context, agent kefu.AgentID) (bool, error) {
	o.asked++
	return o.books.Unbind(ctx, agent)
}

func (o *watched) Transcript(ctx context.Context, c kefu.CustomerID) ([]kefu.Saying, error) {
	o.asked++
	return o.books.Transcript(ctx, c)
}

func (o *watched) Forget(ctx context.Context, c kefu.CustomerID) error {
	o.asked++
	return o.books.Forget(ctx, c)
}

func (o *watched) History(context.Context, kefu.CustomerID) (kefu.History, error) {
	o.asked++
	return kefu.History{}, errors.New("dial: refused")
}

// FuzzAdmin asks administration for whatever there is, with and without its
// token: without it nothing is told and nothing done.
func FuzzAdmin(f *testing.F) {
	for _, path := range []string{
		"/api/v1/agents", "/api/v1/agents/wang/invitation", "/api/v1/agents/wang/chat", "/api/v1/apps/shop/customers/" + openid,
		"/api/v1/apps/shop/customers/" + openid + "/decisions", "/api/v1/apps/shop/customers/../../../metrics/transcript",
		"/api/v1", "/api/v1/", "/api//v1/agents", "/API/v1/agents", "/api/v1/agents/%2e%2e/chat", "/api/v1/apps/shop/customers/\r\nX: y/decisions",
		"/api/getCustomerServiceUrl", "/api/getCustomerServiceUrl/", "/metrics/../api/v1/agents",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			f.Add(method, path, "Bearer admin-token", `{"customerId":"cs1"}`)
			f.Add(method, path, "Bearer admin-toke", `{"customerId":`+strings.Repeat("[", 4000))
		}
	}
	o := &watched{}
	log := &bytes.Buffer{}
	h, err := New(Options{
		Codec:  func(app kefu.AppID) *wechat.Codec { return map[kefu.AppID]*wechat.Codec{"shop": {}}[app] },
		Link:   func(tag string) (string, bool) { return "/pages/service1", tag == "cs1" },
		Office: o, Archive: o, Historian: o, NewCode: func() string { return "K7PM2Q" }, Token: func() string { return "admin-token" },
		Table: func() *kefu.Table { return &kefu.Table{} }, Ready: func() Readiness { return Readiness{} },
		Logger: zerolog.New(log), Registerer: prometheus.NewRegistry(), Gatherer: prometheus.NewRegistry(),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, authorization, body string) {
		log.Reset()
		o.asked = 0
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", strings.NewReader(body))
		req.Method, req.URL = method, &url.URL{Path: path}
		req.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		scheme, token, _ := strings.Cut(authorization, " ")
		known := strings.EqualFold(scheme, "bearer") && token == "admin-token"
		if o.asked > 0 && !known {
			t.Fatalf("%s %q as %q did something", method, path, authorization)
		}
		if w.Code >= 500 && w.Code != http.StatusNotImplemented && (w.Code != http.StatusServiceUnavailable || !known) {
			t.Fatalf("%s %q: %d %s", method, path, w.Code, w.Body)
		}
		isProblem := w.Header().Get("Content-Type") == "application/problem+json"
		if isProblem && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %q: %s", method, path, w.Body)
		}
		for name := range w.Header() {
			switch name {
			case "Content-Type", "Cache-Control", "Www-Authenticate", "Connection", "Allow", "X-Content-Type-Options":
			default:
				t.Fatalf("%s %q: header %q", method, path, name)
			}
		}
		if strings.Contains(log.String(), "request broke") {
			t.Fatalf("the log: %s", log.String())
		}
	})
}
