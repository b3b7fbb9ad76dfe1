package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxReply is how much of an answer is read. WeChat's own limit is not known.
const maxReply = 64 << 10

// A parcel is one push made ready to leave: what is sent, and what its answer
// is judged by.
type parcel struct {
	target      string
	query       url.Values
	body        []byte
	contentType string
	asked       question
}

// attempt sends the push once and judges what comes back.
func (p *Push) attempt(ctx context.Context, slow time.Duration) (Attempt, verdict) {
	b := p.customer.account.box
	start := time.Now()
	parcel, err := p.pack()
	if err != nil {
		return Attempt{Wrong: err.Error()}, verdict{}
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.ReplyLimit)
	defer cancel()
	got, err := b.post(ctx, parcel, slow)
	took := time.Since(start)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return Attempt{Took: took, Wrong: fmt.Sprintf("no answer within %s", b.opts.ReplyLimit)}, verdict{}
		}
		return Attempt{Took: took, Wrong: "no answer: " + err.Error()}, verdict{}
	}
	parcel.asked.now = b.opts.Now()
	judged := parcel.asked.judge(got)
	return Attempt{Took: took, Answer: judged.answer, Wrong: judged.wrong, Heard: true}, judged
}

// pack writes and signs the push.
func (p *Push) pack() (parcel, error) {
	c := p.customer
	a, b := c.account, c.account.box
	b.mu.Lock()
	defer b.unlock()
	if len(a.o.Targets) == 0 {
		return parcel{}, errors.New("the account has no callback URL")
	}
	target := a.o.Targets[a.next%len(a.o.Targets)]
	a.next++
	if p.tries++; p.tries == 1 {
		b.index.add(p)
	}
	e := Event{Kind: Pushed, Account: a.o.Name, Customer: c.openid, Push: p.id, Text: strconv.FormatInt(p.id, 10)}
	if p.tries > 1 {
		e.Kind = Repushed
	}
	b.emit(e)

	timestamp := strconv.FormatInt(b.opts.Now().Unix(), 10)
	nonce := b.text("123456789", 1) + b.text(digits, 8)
	body := p.fields.render(a.o.Format)
	query := query(a.o.Token, timestamp, nonce)
	if a.o.Mode != Plain {
		sealed, err := encrypt(a.key, []byte(b.text(letters, saltBytes)), body, a.o.AppID)
		if err != nil {
			return parcel{}, err
		}
		// Both signatures are sent. The openid is not signed.
		query.Set("openid", c.openid)
		query.Set("encrypt_type", "aes")
		query.Set("msg_signature", sign(a.o.Token, timestamp, nonce, sealed))
		body = envelope(a.o, p.fields, sealed)
	}
	return parcel{
		target: target, query: query, body: body, contentType: contentType(a.o.Format, a.next),
		asked: question{account: a.o, key: a.key, openid: c.openid, nonce: nonce, event: p.event(), tolerance: b.opts.ClockTolerance},
	}, nil
}

// query is what every request of WeChat carries. It does not cover the body.
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html, read 2026-11.
func query(token, timestamp, nonce string) url.Values {
	return url.Values{"signature": {sign(token, timestamp, nonce)}, "timestamp": {timestamp}, "nonce": {nonce}}
}

// envelope is an encrypted body. No sample of compatible mode is published: it
// is taken to be the message in clear with one more element, since it is said
// to hold both and to be three times as long.
// https://developers.weixin.qq.com/doc/subscription/guide/dev/push/encryption.html, read 2026-11.
func envelope(o AccountOptions, message Fields, sealed string) []byte {
	outer := Fields{{"ToUserName", o.OriginalID}}
	if o.Mode == Compatible {
		outer = append(Fields(nil), message...)
	}
	return append(outer, Field{"Encrypt", sealed}).render(o.Format)
}

// contentType is the header of a push. JSON was seen to come as text/xml, and
// is said to stay so; every second push does it.
// https://github.com/tencentyun/wafer2-startup/issues/104, read 2026-11.
func contentType(format Format, turn int) string {
	if format == JSON && turn%2 == 0 {
		return "application/json"
	}
	return "text/xml"
}

// post makes the exchange. Its errors do not hold the URL.
func (b *Box) post(ctx context.Context, p parcel, slow time.Duration) (response, error) {
	var body io.Reader = bytes.NewReader(p.body)
	if slow > 0 {
		body = trickle(ctx, p.body, slow)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.target+"?"+p.query.Encode(), body)
	if err != nil {
		return response{}, errors.New("the callback URL cannot be used")
	}
	req.ContentLength = int64(len(p.body))
	req.Header.Set("Content-Type", p.contentType)
	req.Header.Set("User-Agent", "Mozilla/4.0")
	return b.exchange(ctx, req, slow)
}

// exchange sends a request and reads the answer, after a pause if it is to be slow.
func (b *Box) exchange(ctx context.Context, req *http.Request, slow time.Duration) (response, error) {
	res, err := b.client.Do(req)
	if err != nil {
		return response{}, withoutURL(err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if err = wait(ctx, slow); err != nil {
		return response{}, err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if err != nil {
		return response{}, fmt.Errorf("read answer: %w", err)
	}
	return response{status: res.StatusCode, contentType: res.Header.Get("Content-Type"), body: text}, nil
}

// withoutURL takes the URL, and with it the signature, out of a client's error.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// trickle reads a body in two halves with a pause before each.
func trickle(ctx context.Context, body []byte, pause time.Duration) io.Reader {
	half := func(part []byte) io.Reader {
		return &late{until: func() error { return wait(ctx, pause/2) }, r: bytes.NewReader(part)}
	}
	return io.MultiReader(half(body[:len(body)/2]), half(body[len(body)/2:]))
}

// A late reader waits before its first byte.
type late struct {
	until func() error
	r     io.Reader
}

// Read waits once, then reads.
func (l *late) Read(p []byte) (int, error) {
	if l.until != nil {
		if err := l.until(); err != nil {
			return 0, err
		}
		l.until = nil
	}
	return l.r.Read(p)
}

// Verify plays the console's check of the callback URL at every target: a
// signed GET whose echostr must come back unchanged. It is the same in all modes.
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html, read 2026-11.
func (a *Account) Verify(ctx context.Context) error {
	ctx, leave, err := a.box.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	a.box.mu.Lock()
	targets := a.o.Targets
	a.box.mu.Unlock()
	if len(targets) == 0 {
		return fmt.Errorf("verify %q: it has no callback URL", a.o.Name)
	}
	for _, target := range targets {
		if err = a.verify(ctx, target); err != nil {
			return fmt.Errorf("verify %q: %w", a.o.Name, err)
		}
	}
	return nil
}

func (a *Account) verify(ctx context.Context, target string) error {
	b := a.box
	b.mu.Lock()
	echo := b.text("123456789", 1) + b.text(digits, 18)
	q := query(a.o.Token, strconv.FormatInt(b.opts.Now().Unix(), 10), b.text("123456789", 1)+b.text(digits, 8))
	b.mu.Unlock()
	q.Set("echostr", echo)
	ctx, cancel := context.WithTimeout(ctx, b.opts.ReplyLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"?"+q.Encode(), http.NoBody)
	if err != nil {
		return errors.New("the callback URL cannot be used")
	}
	got, err := b.exchange(ctx, req, 0)
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return fmt.Errorf("status %d instead of 200", got.status)
	}
	if string(got.body) != echo {
		return errors.New("the answer is not the echostr, byte for byte")
	}
	return nil
}
