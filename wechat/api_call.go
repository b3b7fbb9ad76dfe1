package wechat

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"kefud/kefu"
)

const (
	maxAnswer = 1 << 20 // what is read of an answer, in bytes

	retryLeast  = 20 * time.Millisecond // before a call whose connection failed is repeated
	retryJitter = 80 * time.Millisecond
)

// The operations, as errors and metrics name them.
const (
	opToken      = "token"
	opSend       = "send"
	opOnlineList = "online_list"

	opMediaGet    = "media_get"
	opMediaUpload = "media_upload"
	opTyping      = "typing"

	opStaff             = "staff"
	opCallbackAddresses = "callback_addresses"
)

func operations() []string {
	return []string{opToken, opSend, opOnlineList, opMediaGet, opMediaUpload, opTyping, opStaff, opCallbackAddresses}
}

// A request is one call of the API.
type request struct {
	op       string
	method   string
	path     string
	query    url.Values // besides the token
	body     any        // sent as JSON, a picture as a form; nil = none
	private  []string   // what must not come back in an error text
	delivers bool       // has an effect that must not happen twice: never repeated blindly
	slow     bool       // carries a picture
}

// call does r with the app's token and decodes the answer into the given struct
// or picture; nil if only the errcode matters. A refused token is replaced once,
// and the call repeated once with the other.
func (c *Client) call(ctx context.Context, app kefu.AppID, r request, into any) error {
	a := c.account(app)
	if a == nil {
		return &APIError{Op: r.op, App: app, fault: faultApp, Msg: "there is no such app"}
	}
	if a.cred.Secret == "" {
		e := &APIError{Op: r.op, App: app, fault: faultSecret, Msg: fmt.Sprintf("app %s has no app_secret", app)}
		c.meter.count(app, r.op, e)
		return e
	}
	for repeated := false; ; repeated = true {
		p, e := a.tokens.get(ctx)
		if e != nil {
			c.meter.count(app, r.op, e)
			return e
		}
		e = c.exchange(ctx, a, r, p.value, into)
		if e == nil {
			a.tokens.accepted(p)
			return nil
		}
		if e.verdict().class != classToken {
			return e
		}
		a.tokens.refused(p, e)
		if repeated {
			return e
		}
	}
}

// exchange does r, and once more if the connection failed and r may be repeated.
func (c *Client) exchange(ctx context.Context, a *account, r request, token string, into any) *APIError {
	e := c.once(ctx, a, r, token, into)
	if r.delivers || e == nil || e.fault != faultTransport {
		return e
	}
	timer := time.NewTimer(retryLeast + jitter(retryJitter))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return e
	case <-timer.C:
		return c.once(ctx, a, r, token, into)
	}
}

func (c *Client) roundTrip(ctx context.Context, a *account, r request, token string, into any) *APIError {
	timeout := c.timeout
	if r.slow {
		timeout *= mediaTimeouts
	}
	inner, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var w wire
	fail := func(e APIError) *APIError {
		e.Op, e.App = r.op, a.cred.App
		e.maybe = r.delivers && e.Code == 0 && w.mayHaveGone()
		e.Msg = publicText(e.Msg, append(slices.Clone(r.private), token, a.cred.Secret))
		return &e
	}
	req, err := c.newRequest(httptrace.WithClientTrace(inner, w.trace()), r, token)
	if err != nil {
		return fail(APIError{fault: faultRequest, Msg: "request cannot be built"})
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fail(transportError(ctx, err))
	}
	defer res.Body.Close() //nolint:errcheck // it was read only
	e := read(ctx, res, into)
	if e == nil {
		return nil
	}
	return fail(*e)
}

// read reads an answer into the given struct or picture.
func read(ctx context.Context, res *http.Response, into any) *APIError {
	limit := int64(maxAnswer)
	p, isPicture := into.(*picture)
	if isPicture {
		limit = maxPicture
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		e := transportError(ctx, err)
		e.Status = res.StatusCode
		return &e
	}
	if isPicture {
		return p.take(res.StatusCode, res.Header.Get("Content-Type"), body)
	}
	return judgeAnswer(res.StatusCode, body, into)
}

func (c *Client) newRequest(ctx context.Context, r request, token string) (*http.Request, error) {
	query := url.Values{}
	maps.Copy(query, r.query)
	if token != "" {
		query.Set("access_token", token)
	}
	address := c.base + r.path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	raw, contentType, err := r.encode()
	if err != nil {
		return nil, err
	}
	var payload io.Reader
	if raw != nil {
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, payload)
	if err != nil {
		return nil, errors.New("build request") // the cause holds the URL
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("User-Agent", "kefud")
	return req, nil
}

// encode writes the body and gives its Content-Type; nothing if there is none.
func (r request) encode() ([]byte, string, error) {
	switch body := r.body.(type) {
	case nil:
		return nil, "", nil
	case picture:
		return body.encodeForm()
	default:
		raw, err := encode(body)
		return raw, typeJSON, err
	}
}

// encode writes JSON with its characters as they are, < > & too: that WeChat
// reads \u escapes everywhere is not documented.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// transportError says what broke, without the URL that the HTTP client puts
// into its errors. It depends on ctx whether the caller ended the call.
func transportError(ctx context.Context, err error) APIError {
	if ended := ctx.Err(); ended != nil {
		return *gaveUp("", "", ended)
	}
	if errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err) {
		return APIError{fault: faultTimeout, Msg: "no answer in time", cause: context.DeadlineExceeded}
	}
	return APIError{fault: faultTransport, Msg: brokenBy(err)}
}

// brokenBy tells of a broken connection what cannot repeat anything that was
// written or read: addresses and system errors, and no more.
func brokenBy(err error) string {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before the end of the answer"
	}
	return "the connection broke"
}

// gaveUp is the error of a call whose caller's context ended.
func gaveUp(op string, app kefu.AppID, ended error) *APIError {
	if errors.Is(ended, context.DeadlineExceeded) {
		return &APIError{Op: op, App: app, fault: faultTimeout, Msg: "the caller's time is over", cause: context.DeadlineExceeded}
	}
	return &APIError{Op: op, App: app, fault: faultCanceled, Msg: "the caller gave up", cause: context.Canceled}
}

// A wire watches whether a request can have reached the other side.
type wire struct {
	asked, connected atomic.Bool
}

func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { w.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
	}
}

// mayHaveGone is false only if a connection was asked for and never had. A
// transport that tells nothing of its connections may have sent it.
func (w *wire) mayHaveGone() bool { return w.connected.Load() || !w.asked.Load() }
