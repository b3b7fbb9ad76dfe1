package simulator

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A clock that is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_760_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A heard is a push as the test's server understood it.
type heard struct {
	query  url.Values
	body   string
	fields elements
	now    time.Time
	o      AccountOptions
}

func (h heard) text(name string) string { return h.fields[name].text }

// An answer is what the test's server says to a push.
type answer struct {
	status      int // 0 = 200
	contentType string
	body        string
}

// A server answers pushes in the test's own way. It is a transport, so that no
// network is needed.
type server struct {
	t      *testing.T
	o      AccountOptions
	clock  func() time.Time
	answer func(r *http.Request, h heard) answer

	mu    sync.Mutex
	heard []heard
	types []string
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	h, err := s.open(r.URL.Query(), body)
	if err != nil {
		s.t.Errorf("the push is wrong: %v", err)
	}
	s.mu.Lock()
	s.heard = append(s.heard, h)
	s.types = append(s.types, r.Header.Get("Content-Type"))
	s.mu.Unlock()
	a := s.answer(r, h)
	if err = r.Context().Err(); err != nil {
		return nil, err
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {a.contentType}},
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}

// open checks a push as a strict server would.
func (s *server) open(q url.Values, body []byte) (heard, error) {
	h := heard{query: q, body: string(body), now: s.clock(), o: s.o}
	if q.Get("signature") != sign(s.o.Token, q.Get("timestamp"), q.Get("nonce")) {
		return h, fmt.Errorf("signature")
	}
	outer, err := parse(s.o.Format, body)
	if err != nil {
		return h, err
	}
	h.fields = outer
	sealed, ok := outer["Encrypt"]
	if ok != (s.o.Mode != Plain) || ok != (q.Get("encrypt_type") == "aes") {
		return h, fmt.Errorf("encrypted %t in %s mode", ok, s.o.Mode)
	}
	if !ok {
		return h, nil
	}
	if s.o.Mode == Compatible && outer["FromUserName"].text == "" {
		return h, fmt.Errorf("no clear text in compatible mode")
	}
	if q.Get("msg_signature") != sign(s.o.Token, q.Get("timestamp"), q.Get("nonce"), sealed.text) {
		return h, fmt.Errorf("msg_signature")
	}
	key, err := parseKey(s.o.AESKey)
	if err != nil {
		return h, err
	}
	text, err := decrypt(key, sealed.text, s.o.AppID)
	if err != nil {
		return h, err
	}
	h.fields, err = parse(s.o.Format, text)
	return h, err
}

func (s *server) pushes() []heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]heard(nil), s.heard...)
}

func success(*http.Request, heard) answer { return answer{contentType: "text/plain", body: "success"} }

// transfer is the good transfer to an agent, "" being nobody; events get success.
func transfer(kfAccount string) func(*http.Request, heard) answer {
	return func(r *http.Request, h heard) answer {
		if h.text("MsgType") == "event" {
			return success(r, h)
		}
		fields := h.transfer()
		if kfAccount != "" {
			fields = append(fields, Field{"TransInfo", Fields{{"KfAccount", kfAccount}}})
		}
		return h.seal(fields)
	}
}

func (h heard) transfer() Fields {
	return Fields{
		{"ToUserName", h.text("FromUserName")},
		{"FromUserName", h.text("ToUserName")},
		{"CreateTime", h.now.Unix()},
		{"MsgType", "transfer_customer_service"},
	}
}

// seal answers with a message, encrypted if the push was.
func (h heard) seal(fields Fields) answer {
	body := string(fields.render(h.o.Format))
	if h.o.Mode != Plain {
		body = h.encrypt(body)
	}
	return answer{contentType: mediaType(h.o.Format), body: body}
}

func (h heard) encrypt(body string) string {
	key, err := parseKey(h.o.AESKey)
	if err != nil {
		panic(err)
	}
	sealed, err := encrypt(key, []byte("0123456789abcdef"), []byte(body), h.o.AppID)
	if err != nil {
		panic(err)
	}
	at := h.now.Unix()
	nonce := h.query.Get("nonce")
	return string(Fields{
		{"Encrypt", sealed},
		{"MsgSignature", sign(h.o.Token, strconv.FormatInt(at, 10), nonce, sealed)},
		{"TimeStamp", at},
		{"Nonce", nonce},
	}.render(h.o.Format))
}

func mediaType(f Format) string {
	if f == JSON {
		return "application/json; charset=utf-8"
	}
	return "text/xml; charset=utf-8"
}

// A world is a Box with one account, its server and its clock.
type world struct {
	*Box
	account *Account
	server  *server
	clock   *clock
	agents  map[string]*Agent
}

// account is a mini-program of the test.
func account() AccountOptions {
	return AccountOptions{
		Name: "shop", AppID: "wx0000000000000001", Secret: "secret", OriginalID: "gh_1a2b3c", Token: "token",
		AESKey: sampleKey, Targets: []string{"http://server.test/wechat/shop"},
	}
}

// newWorld makes a world whose server transfers every message to anybody.
func newWorld(t *testing.T, o Options, a AccountOptions) *world {
	t.Helper()
	w := &world{clock: newClock(), agents: make(map[string]*Agent)}
	if o.Now == nil {
		o.Now = w.clock.Now
	}
	a = a.withDefaults()
	w.server = &server{t: t, o: a, clock: o.Now, answer: transfer("")}
	o.Transport = w.server
	w.Box = New(o)
	t.Cleanup(w.Close)
	var err error
	if w.account, err = w.AddAccount(a); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) agent(t *testing.T, nick string, o AgentOptions) *Agent {
	t.Helper()
	o.Nick, o.KfAccount, o.KfID, o.KfOpenID = nick, nick+"@gh_1a2b3c", int64(len(w.agents)+1), "okf"+nick
	agent, err := w.account.AddAgent(o)
	if err != nil {
		t.Fatal(err)
	}
	w.agents[nick] = agent
	return agent
}

func say(t *testing.T, c *Customer, text string) Result {
	t.Helper()
	r, err := c.Say(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want checks the fates of a customer's messages, such as "agent li" or "queued".
func (w *world) want(t *testing.T, c *Customer, fates ...string) {
	t.Helper()
	var got []string
	for _, r := range c.Reached() {
		got = append(got, strings.TrimSpace(string(r.Fate)+" "+r.Agent))
	}
	if strings.Join(got, ", ") != strings.Join(fates, ", ") {
		t.Errorf("messages are [%s], want [%s]", strings.Join(got, ", "), strings.Join(fates, ", "))
	}
}
