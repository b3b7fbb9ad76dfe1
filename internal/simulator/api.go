package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// A call is one API call, its body read.
type call struct {
	path        string
	account     *Account // nil for token calls
	query       url.Values
	contentType string // of the body
	body        []byte
}

// A problem is an errcode and the beginning of its errmsg; code 0 is none.
type problem struct {
	code int
	msg  string
}

// The errcodes, besides those that carry their own address:
// https://developers.weixin.qq.com/doc/channels/API/basics/commErrCode.html and
// https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html, read 2026-11.
var (
	badJSON      = problem{47001, "data format error"}
	needsPost    = problem{43002, "require POST method"}
	needsGet     = problem{43001, "require GET method"}
	unauthorized = problem{48001, "api unauthorized"}
)

// An operation is one path of the API.
type operation struct {
	method string
	open   bool // needs no access token
	serve  func(*Box, call) (any, problem)
	limit  int64 // bytes read of a call's body; 0 = maxCall
}

// operations is the API. Whatever is missing here answers 404.
func operations() map[string]operation {
	get, post := http.MethodGet, http.MethodPost
	ops := map[string]operation{
		"/cgi-bin/stable_token":                   {method: post, open: true, serve: (*Box).stableToken},
		"/cgi-bin/token":                          {method: get, open: true, serve: (*Box).basicToken},
		"/cgi-bin/message/custom/send":            {method: post, serve: (*Box).send},
		"/cgi-bin/message/custom/business/send":   {method: post, serve: (*Box).businessSend},
		"/cgi-bin/message/custom/typing":          {method: post, serve: (*Box).typing},
		"/cgi-bin/message/custom/business/typing": {method: post, serve: (*Box).typing},
		"/cgi-bin/media/upload":                   {method: post, serve: (*Box).upload, limit: maxUpload},
		"/cgi-bin/media/get":                      {method: get, serve: (*Box).download},
		"/cgi-bin/customservice/getkflist":        {method: get, serve: (*Box).agentList},
		"/cgi-bin/customservice/getonlinekflist":  {method: get, serve: (*Box).onlineList},
		"/cgi-bin/getcallbackip":                  {method: get, serve: (*Box).callbackAddresses},
	}
	// Mini-programs may not; official accounts only if certified, which those of
	// the Box are not.
	// https://developers.weixin.qq.com/doc/service/api/customer/messctrl/api_createkfsession, read 2026-11.
	refused := func(*Box, call) (any, problem) { return nil, unauthorized }
	for name, method := range map[string]string{"create": post, "close": post, "getsession": get, "getsessionlist": get, "getwaitcase": get} {
		ops["/customservice/kfsession/"+name] = operation{method: method, serve: refused}
	}
	return ops
}

// callbackAddresses is GET /cgi-bin/getcallbackip.
// https://developers.weixin.qq.com/doc/offiaccount/en/Basic_Information/Get_the_WeChat_server_IP_address.html, read 2026-11.
func (b *Box) callbackAddresses(call) (any, problem) {
	list := b.opts.PushesFrom
	if list == nil {
		list = []string{"127.0.0.0/8", "::1"}
	}
	return map[string]any{"ip_list": list}, problem{}
}

const maxCall = 1 << 20 // bytes read of a call's body, unless its operation says more

// Handler is the API as an http.Handler.
func (b *Box) Handler() http.Handler {
	ops := operations()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, ok := ops[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cmp.Or(op.limit, maxCall)))
		if err != nil {
			http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
			return
		}
		b.answer(w, r, op, call{path: r.URL.Path, query: r.URL.Query(), contentType: r.Header.Get("Content-Type"), body: body})
	})
}

// answer serves one call, with whatever trouble was asked for.
func (b *Box) answer(w http.ResponseWriter, r *http.Request, op operation, c call) {
	broken := b.breakCall(c.path, b.caller(c))
	w.Header().Set("Date", b.opts.Now().UTC().Format(http.TimeFormat))
	if broken.Latency > 0 {
		b.delay(r.Context(), broken.Latency)
	}
	if !broken.Late && broken.strike(w) {
		return
	}
	out, p := b.serve(r.Method, op, c, problem{broken.ErrCode, cmp.Or(broken.ErrMsg, "simulated")})
	if broken.Late && broken.strike(w) {
		return
	}
	text := reply(w.Header(), out, p, b.rid())
	if broken.Truncate {
		text = text[:len(text)/2]
	}
	// A caller who has hung up is no concern of WeChat's.
	_, _ = w.Write(text) //nolint:gosec // what it is said to be; no browser reads it
}

// strike answers with the trouble instead, if it is one of that sort.
func (f APIBreak) strike(w http.ResponseWriter) bool {
	switch {
	case f.Reset:
		reset(w)
	case f.Status != 0:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprintf(w, errorPage, f.Status, http.StatusText(f.Status)) // nobody left to hear it is fine
	default:
		return false
	}
	return true
}

// caller finds whose call it is, nil if that cannot be told.
func (b *Box) caller(c call) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.tokens[c.query.Get("access_token")]; t != nil {
		return t.account
	}
	var in struct {
		AppID string `json:"appid"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		in.AppID = c.query.Get("appid") // a GET has no body
	}
	for _, a := range b.accounts {
		if a.o.AppID == in.AppID {
			return a
		}
	}
	return nil
}

// serve runs the operation, unless the errcode to answer with is given, and
// counts the outcome.
func (b *Box) serve(method string, op operation, c call, given problem) (any, problem) {
	b.mu.Lock()
	defer b.unlock()
	out, p := any(nil), given
	if given.code == 0 {
		out, p = b.run(method, op, c)
	}
	if b.calls[c.path] == nil {
		b.calls[c.path] = make(map[int]int)
	}
	b.calls[c.path][p.code]++
	return out, p
}

func (b *Box) run(method string, op operation, c call) (any, problem) {
	switch {
	case method != op.method && op.method == http.MethodPost:
		return nil, needsPost
	case method != op.method:
		return nil, needsGet
	case op.open:
		return op.serve(b, c)
	}
	a, p := b.authorize(c.query.Get("access_token"))
	if p.code != 0 {
		return nil, p
	}
	c.account = a
	return op.serve(b, c)
}

// Calls counts the calls of a path by their errcode. Calls that got a broken
// page or no answer count only if they took effect.
func (b *Box) Calls(path string) map[int]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := make(map[int]int)
	maps.Copy(counts, b.calls[path])
	return counts
}

// rid makes the request id that errmsg ends with.
func (b *Box) rid() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	const hex = "0123456789abcdef"
	return strings.Join([]string{b.text(hex, 8), b.text(hex, 8), b.text(hex, 8)}, "-")
}

// reply writes an answer: a file, or JSON. Successful ones of some calls have no
// errcode.
func reply(h http.Header, out any, p problem, rid string) []byte {
	if f, ok := out.(file); ok {
		h.Set("Content-Type", http.DetectContentType(f.bytes))
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", f.name))
		return f.bytes
	}
	h.Set("Content-Type", "application/json")
	type status struct {
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}
	switch {
	case p.code != 0:
		out = status{p.code, p.msg + " rid: " + rid}
	case out == nil:
		out = status{0, "ok"}
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // only our own structs come here
	}
	return text
}
