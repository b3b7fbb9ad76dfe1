package wechat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

const (
	fakeMediaID   = "MEDIA_of-shop_1"
	fakeMediaGet  = "/cgi-bin/media/get"
	fakeMediaPut  = "/cgi-bin/media/upload"
	fakeMediaSend = "/cgi-bin/message/custom/send"
	fakeJPEG      = "\xff\xd8\xff\xe0\x00\x10JFIF\x00 a picture"
)

// fakeMedia plays the part of WeChat that keeps pictures. Calls with a wrong
// token are left to the fakeAPI it belongs to.
type fakeMedia struct {
	f *fakeAPI

	mu       sync.Mutex
	kind     string // Content-Type of the picture
	data     string
	created  string // created_at of uploads, as JSON
	uploads  int
	lost     map[string]bool // media_ids that sending refuses
	get, put http.HandlerFunc
}

func newFakeMedia(t *testing.T) (*fakeAPI, *fakeMedia) {
	t.Helper()
	f := newFakeAPI(t)
	m := &fakeMedia{f: f, kind: "image/jpeg", data: fakeJPEG, lost: map[string]bool{}}
	f.before = m.serve
	return f, m
}

func (m *fakeMedia) set(change func(*fakeMedia)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *fakeMedia) serve(w http.ResponseWriter, r *http.Request) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.f.mu.Lock()
	_, good := m.f.tokens[r.URL.Query().Get("access_token")]
	good = good && m.f.refuse == 0
	m.f.mu.Unlock()
	if !good {
		return false
	}
	switch r.URL.Path {
	case fakeMediaGet:
		if m.get != nil {
			m.get(w, r)
			return true
		}
		w.Header().Set("Content-Type", m.kind)
		_, _ = io.WriteString(w, m.data)
	case fakeMediaPut:
		if m.put != nil {
			m.put(w, r)
			return true
		}
		m.uploads++
		created := m.created
		if created == "" {
			created = fmt.Sprint(m.f.clock.Now().Unix())
		}
		_, _ = fmt.Fprintf(w, `{"type":"image","media_id":"COPY_%d","created_at":%s}`, m.uploads, created)
	case fakeMediaSend:
		sent, _ := io.ReadAll(r.Body)
		for id := range m.lost {
			if bytes.Contains(sent, []byte(id)) {
				_, _ = io.WriteString(w, `{"errcode":40007,"errmsg":"invalid media_id `+id+` rid: 1"}`)
				return true
			}
		}
		return false
	default:
		return false
	}
	return true
}

// withBoard adds an app of its own that pictures are copied to.
func withBoard(o *ClientOptions) {
	o.Apps = append(o.Apps, Credential{App: "board", AppID: fakeAPIBoard, Secret: fakeAPISecret, Official: true})
}

var fakePicture = kefu.Media{App: "shop", ID: fakeMediaID}

func fakeImage(t *testing.T, c *Client) error {
	t.Helper()
	return c.SendImage(t.Context(), kefu.CustomerID{App: "board", User: fakeAPIUser}, fakePicture)
}

func (f *fakeAPI) wantCopies(gets, uploads, sends int) {
	f.t.Helper()
	f.wantCalls(fakeMediaGet, gets)
	f.wantCalls(fakeMediaPut, uploads)
	f.wantCalls(fakeMediaSend, sends)
}

// fakeMediaHidden fails if a text holds what must not be in one.
func fakeMediaHidden(t *testing.T, text string) {
	t.Helper()
	fakeAPIHidden(t, text)
	for _, secret := range []string{fakeMediaID, "COPY_", "JFIF", "media_id="} {
		if strings.Contains(text, secret) {
			t.Errorf("%q holds %q", text, secret)
		}
	}
}

func imageBody(id string) string {
	return `{"touser":"` + fakeAPIUser + `","msgtype":"image","image":{"media_id":"` + id + `"}}`
}

func TestSendImageOfTheSameApp(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	c := f.client()
	to := kefu.CustomerID{App: "shop", User: fakeAPIUser}
	if err := c.SendImage(t.Context(), to, fakePicture); err != nil {
		t.Fatal(err)
	}
	f.wantCopies(0, 0, 1)
	// What silenceper/wechat v2.1.12 makes of NewCustomerImgMessage.
	if got := string(f.seen(fakeMediaSend)[0].Body); got != imageBody(fakeMediaID) {
		t.Errorf("body %s", got)
	}
	m.set(func(m *fakeMedia) { m.lost[fakeMediaID] = true })
	e := fakeAPIError(t, c.SendImage(t.Context(), to, fakePicture))
	if e.Op != "send" || e.Reason() != "bad_media" || e.Retryable() || e.MaybeSent() {
		t.Errorf("error %v, maybe sent %v", e, e.MaybeSent())
	}
	fakeMediaHidden(t, e.Error())
	f.wantCopies(0, 0, 2)
}

func TestSendImageOfNothing(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	for _, tc := range []struct {
		user   string
		m      kefu.Media
		reason string
	}{
		{"", fakePicture, "bad_request"},
		{fakeAPIUser, kefu.Media{}, "bad_request"},
		{fakeAPIUser, kefu.Media{App: "shop"}, "bad_request"},
		{fakeAPIUser, kefu.Media{ID: fakeMediaID}, "bad_request"},
		{fakeAPIUser, kefu.Media{App: "none", ID: fakeMediaID}, "unknown_app"},
	} {
		e := fakeAPIError(t, c.SendImage(t.Context(), kefu.CustomerID{App: "shop", User: tc.user}, tc.m))
		if e.Reason() != tc.reason || e.Retryable() || e.MaybeSent() {
			t.Errorf("SendImage(%q, %v): %v", tc.user, tc.m, e)
		}
	}
	f.wantCalls("", 0)
}

// The copy as it goes over the wire: with which token, how, and what.
func TestSendImageCopy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, kind, data, wantKind, wantName string }{
		{"JPEG", "image/jpeg", fakeJPEG, "image/jpeg", "picture.jpg"},
		{"PNG", "image/png; charset=binary", "\x89PNG\r\n\x1a\n...", "image/png", "picture.png"},
		{"GIF by its bytes", "image/jpeg", "GIF89a...", "image/gif", "picture.gif"},
		{"BMP", "image/x-ms-bmp", "BM......", "image/bmp", "picture.bmp"},
		{"WebP", "image/webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp", "picture.webp"},
		{"nothing said of it", "application/octet-stream", fakeJPEG, "image/jpeg", "picture.jpg"},
		{"unreadable Content-Type", "/;;", fakeJPEG, "image/jpeg", "picture.jpg"},
		{"of a kind that is new", "image/avif", "\x00\x00\x00\x1cftypavif", "image/avif", "picture.jpg"},
		{"just as large as may be", "image/jpeg", fakeJPEG + strings.Repeat("x", maxPicture-len(fakeJPEG)), "image/jpeg", "picture.jpg"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, m := newFakeMedia(t)
			m.kind, m.data = tc.kind, tc.data
			c := f.client(withBoard)
			if err := fakeImage(t, c); err != nil {
				t.Fatal(err)
			}
			f.wantCopies(1, 1, 1)
			get, put, send := f.seen(fakeMediaGet)[0], f.seen(fakeMediaPut)[0], f.seen(fakeMediaSend)[0]
			if get.Method != http.MethodGet || get.Query.Get("media_id") != fakeMediaID || get.Token != f.current || len(get.Body) > 0 || get.Type != "" {
				t.Errorf("get %s %v as %q", get.Method, get.Query, get.Type)
			}
			if put.Method != http.MethodPost || put.Query.Get("type") != "image" || put.Token != fakeAPIBoardToken || len(put.Query) != 2 {
				t.Errorf("upload %s %v", put.Method, put.Query)
			}
			if send.Token != fakeAPIBoardToken || string(send.Body) != imageBody("COPY_1") {
				t.Errorf("send %s", send.Body)
			}
			name, kind, data := formFile(t, put)
			if name != tc.wantName || kind != tc.wantKind || data != tc.data {
				t.Errorf("uploaded %s as %s, %d bytes; want %s, %s, %d bytes", name, kind, len(data), tc.wantName, tc.wantKind, len(tc.data))
			}
		})
	}
}

// formFile reads the only part of an upload.
func formFile(t *testing.T, call fakeAPICall) (string, string, string) {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(call.Type)
	if err != nil || kind != "multipart/form-data" {
		t.Fatalf("Content-Type %q: %v", call.Type, err)
	}
	form := multipart.NewReader(bytes.NewReader(call.Body), parameters["boundary"])
	part, err := form.NextRawPart()
	if err != nil || part.FormName() != "media" {
		t.Fatalf("part %v: %v", part, err)
	}
	data, err := io.ReadAll(part)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := form.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("another part: %v", err)
	}
	return part.FileName(), part.Header.Get("Content-Type"), string(data)
}

// A copy is used again until WeChat may have forgotten it.
func TestSendImageRemembers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, created string // %d = now
		lasts         time.Duration
	}{
		{"a number", "%d", 60 * time.Hour},
		{"a text", `"%d"`, 60 * time.Hour},
		{"none", "null", 60 * time.Hour},
		{"no number", `"soon"`, 60 * time.Hour},
		{"in the future", "99999999999", 60 * time.Hour},
		{"in the past", fmt.Sprint(newFakeAPIClock().Now().Add(-50 * time.Hour).Unix()), 10 * time.Hour},
		{"long past", "1", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, m := newFakeMedia(t)
			m.created = strings.ReplaceAll(tc.created, "%d", fmt.Sprint(f.clock.Now().Unix()))
			f.life = 100 * time.Hour
			c := f.client(withBoard)
			send := func(copies, sends int) {
				t.Helper()
				if err := fakeImage(t, c); err != nil {
					t.Fatal(err)
				}
				f.wantCopies(copies, copies, sends)
			}
			send(1, 1)
			if tc.lasts == 0 {
				send(2, 2)
				return
			}
			f.clock.Advance(tc.lasts - time.Second)
			send(1, 2)
			f.clock.Advance(time.Second)
			send(2, 3)
		})
	}
}

// Another picture, and the same one for another app, are other copies.
func TestSendImageCopiesApart(t *testing.T) {
	t.Parallel()
	f, _ := newFakeMedia(t)
	c := f.client(withBoard, func(o *ClientOptions) {
		o.Apps = append(o.Apps, Credential{App: "other", AppID: fakeAPIBoard, Secret: fakeAPISecret})
	})
	for _, tc := range []struct {
		to kefu.AppID
		m  kefu.Media
	}{
		{"board", fakePicture},
		{"other", fakePicture},
		{"board", kefu.Media{App: "other", ID: fakeMediaID}},
		{"board", kefu.Media{App: "shop", ID: "another"}},
		{"board", fakePicture},
	} {
		if err := c.SendImage(t.Context(), kefu.CustomerID{App: tc.to, User: fakeAPIUser}, tc.m); err != nil {
			t.Fatal(err)
		}
	}
	f.wantCopies(4, 4, 5)
}

// A copy that WeChat has lost is made again, once.
func TestSendImageCopyLost(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	c := f.client(withBoard)
	if err := fakeImage(t, c); err != nil {
		t.Fatal(err)
	}
	m.set(func(m *fakeMedia) { m.lost["COPY_1"] = true })
	if err := fakeImage(t, c); err != nil {
		t.Fatalf("after the copy was lost: %v", err)
	}
	f.wantCopies(2, 2, 3)
	if err := fakeImage(t, c); err != nil {
		t.Fatalf("with the new copy: %v", err)
	}
	f.wantCopies(2, 2, 4)

	m.set(func(m *fakeMedia) { m.lost["COPY_2"], m.lost["COPY_3"] = true, true })
	e := fakeAPIError(t, fakeImage(t, c))
	if e.Op != "send" || e.Reason() != "bad_media" || e.MaybeSent() {
		t.Errorf("error %v", e)
	}
	fakeMediaHidden(t, e.Error())
	f.wantCopies(3, 3, 6)

	// A copy that is refused when it is new is not made again at once.
	m.set(func(m *fakeMedia) { m.lost["COPY_4"] = true })
	e = fakeAPIError(t, c.SendImage(t.Context(), kefu.CustomerID{App: "board", User: fakeAPIUser}, kefu.Media{App: "shop", ID: "another"}))
	if e.Reason() != "bad_media" {
		t.Errorf("error %v", e)
	}
	f.wantCopies(4, 4, 7)
}

// Refusals of the message itself leave the copy as it is.
func TestSendImageRefused(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	c := f.client(withBoard)
	for i, tc := range []struct {
		code   int
		reason string
		gone   bool
	}{{43004, "not_following", true}, {45015, "out_of_window", true}, {45047, "out_of_count", true}, {45001, "too_large", false}} {
		f.set(func(f *fakeAPI) {
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == fakeMediaSend {
					_, _ = fmt.Fprintf(w, `{"errcode":%d,"errmsg":"no rid: 1"}`, tc.code)
					return true
				}
				return m.serve(w, r)
			}
		})
		e := fakeAPIError(t, fakeImage(t, c))
		if e.Op != "send" || e.App != "board" || e.Reason() != tc.reason || e.AllowanceGone() != tc.gone || e.MaybeSent() {
			t.Errorf("error %v, allowance gone %v", e, e.AllowanceGone())
		}
		f.wantCopies(1, 1, i+1)
	}
}

// A send that was broken off is not repeated, and may have arrived.
func TestSendImageMaybeSent(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	c := f.client(withBoard)
	f.set(func(f *fakeAPI) {
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == fakeMediaSend {
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
			return m.serve(w, r)
		}
	})
	e := fakeAPIError(t, fakeImage(t, c))
	if e.Op != "send" || !e.MaybeSent() || !e.Retryable() {
		t.Errorf("error %v, maybe sent %v", e, e.MaybeSent())
	}
	f.wantCopies(1, 1, 1)
}

// The token of either app may be refused once in the middle.
func TestSendImageTokenRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{fakeMediaGet, fakeMediaPut, fakeMediaSend} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			f, m := newFakeMedia(t)
			c := f.client(withBoard)
			refused := false
			f.set(func(f *fakeAPI) {
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == path && !refused {
						refused = true
						_, _ = io.WriteString(w, `{"errcode":42001,"errmsg":"access_token expired"}`)
						return true
					}
					return m.serve(w, r)
				}
			})
			if err := fakeImage(t, c); err != nil {
				t.Fatal(err)
			}
			f.wantCalls(path, 2)
			f.wantCalls("stable_token", 3)
			if put := f.seen(fakeMediaPut); len(put) == 2 {
				_, _, first := formFile(t, put[0])
				_, _, second := formFile(t, put[1])
				if diff := cmp.Diff(first, second); diff != "" || first != fakeJPEG {
					t.Errorf("the upload was not repeated as it was:\n%s", diff)
				}
			}
		})
	}
}

// However many send one picture, it is copied once.
func TestSendImageAtOnce(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	c := f.client(withBoard)
	const senders = 32
	release := make(chan struct{})
	m.get = func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = io.WriteString(w, fakeJPEG)
	}
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			if err := fakeImage(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	all.Wait()
	f.wantCopies(1, 1, senders)
	if n := len(c.copies.flights) + len(c.copies.slots); n != 0 {
		t.Errorf("%d flights and slots are left", n)
	}
}

// Who only waits for a copy is told what became of it.
func TestSendImageWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := NewClient(ClientOptions{BaseURL: "http://127.0.0.1:9"})
		if err != nil {
			t.Fatal(err)
		}
		k := copyKey{to: "board", of: fakePicture}
		broken := &APIError{Op: opMediaGet, App: "shop", Code: 40007}
		for _, want := range []flight{{copy: mediaCopy{id: "COPY_1"}}, {err: broken}} {
			f, mine := c.copies.board(k)
			if !mine {
				t.Fatal("there is a flight already")
			}
			var ended atomic.Int64
			for range 3 {
				go func() {
					if got, err := c.copied(t.Context(), k, ""); got != want.copy || !errors.Is(err, want.err) {
						t.Errorf("%+v, %v; want %+v, %v", got, err, want.copy, want.err)
					}
					ended.Add(1)
				}()
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				_, err := c.copied(ctx, k, "")
				if e := fakeAPIError(t, err); e.Reason() != "canceled" || e.App != "shop" || e.MaybeSent() {
					t.Errorf("waiting given up: %v", e)
				}
			}()
			synctest.Wait()
			cancel()
			synctest.Wait()
			if ended.Load() != 0 {
				t.Errorf("%d did not wait", ended.Load())
			}
			f.copy, f.err, f.abandoned = want.copy, want.err, false
			c.copies.land(k, f)
			synctest.Wait()
			if ended.Load() != 3 {
				t.Errorf("%d of 3 were told", ended.Load())
			}
		}
	})
}

// If the maker of a copy gave up, or made the one that was refused, the next one
// makes it.
func TestSendImageAbandoned(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	c := f.client(withBoard)
	k := copyKey{to: "board", of: fakePicture}
	for _, tc := range []struct {
		name, refused string
		landed        flight
		want          mediaCopy
		fails         bool
	}{
		{"given up", "", flight{err: gaveUp(opMediaGet, "shop", context.Canceled), abandoned: true}, mediaCopy{id: "COPY_1"}, false},
		{"the refused one", "COPY_0", flight{copy: mediaCopy{id: "COPY_0", remembered: true}}, mediaCopy{id: "COPY_1", remembered: true}, false},
		{"nothing but the refused one", "COPY_1", flight{copy: mediaCopy{id: "COPY_1", remembered: true}}, mediaCopy{}, true},
	} {
		if tc.fails {
			m.set(func(m *fakeMedia) { m.get = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) } })
		}
		own, mine := c.copies.board(k)
		if !mine {
			t.Fatal("there is a flight already")
		}
		own.copy, own.err, own.abandoned = tc.landed.copy, tc.landed.err, tc.landed.abandoned
		time.AfterFunc(5*time.Millisecond, func() { c.copies.land(k, own) })
		got, err := c.copied(t.Context(), k, tc.refused)
		if got != tc.want || (err != nil) != tc.fails {
			t.Errorf("%s: %+v, %v; want %+v", tc.name, got, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.copied(ctx, copyKey{to: "board", of: kefu.Media{App: "shop", ID: "new"}}, "")
	if e := fakeAPIError(t, err); e.Reason() != "canceled" || e.MaybeSent() {
		t.Errorf("given up before it began: %v", e)
	}
}

// No more copies are under way than there are slots.
func TestSendImageSlots(t *testing.T) {
	t.Parallel()
	f, _ := newFakeMedia(t)
	c := f.client(withBoard)
	for range copiesAtOnce {
		c.copies.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	e := fakeAPIError(t, c.SendImage(ctx, kefu.CustomerID{App: "board", User: fakeAPIUser}, fakePicture))
	if e.Reason() != "timeout" || e.MaybeSent() {
		t.Errorf("error %v", e)
	}
	f.wantCopies(0, 0, 0)
	<-c.copies.slots
	if err := fakeImage(t, c); err != nil {
		t.Error(err)
	}
}

// An operation that gets no answer stops by itself, and not the others.
func TestSendImageBreakers(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	var lines bytes.Buffer
	c := f.client(withBoard, func(o *ClientOptions) { o.Logger = zerolog.New(&lines) })
	m.set(func(m *fakeMedia) { m.put = fakeAPIWrite(http.StatusBadGateway, "") })
	for range breakerLimit {
		if e := fakeAPIError(t, fakeImage(t, c)); e.Op != "media_upload" || e.Reason() != "http_status" || e.App != "board" || e.MaybeSent() {
			t.Fatalf("error %v", e)
		}
	}
	e := fakeAPIError(t, fakeImage(t, c))
	if e.Op != "media_upload" || e.Reason() != "breaker_open" || e.MaybeSent() {
		t.Errorf("error %v", e)
	}
	f.wantCalls(fakeMediaPut, breakerLimit)
	if err := c.SendText(t.Context(), kefu.CustomerID{App: "board", User: fakeAPIUser}, "hi"); err != nil {
		t.Errorf("a text of the same app: %v", err)
	}

	m.set(func(m *fakeMedia) { m.get = fakeAPIWrite(http.StatusBadGateway, "") })
	for range breakerLimit {
		if e = fakeAPIError(t, fakeImage(t, c)); e.Op != "media_get" || e.Reason() != "http_status" || e.App != "shop" {
			t.Fatalf("error %v", e)
		}
	}
	if e = fakeAPIError(t, fakeImage(t, c)); e.Op != "media_get" || e.Reason() != "breaker_open" {
		t.Errorf("error %v", e)
	}
	fakeMediaHidden(t, lines.String())
}

// A picture that cannot be used is an answer: it stops nothing.
func TestSendImageBreakerKnowsAnswers(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	c := f.client(withBoard)
	m.kind = "video/mp4"
	for range 2 * breakerLimit {
		if e := fakeAPIError(t, fakeImage(t, c)); e.Reason() != "bad_media" || e.Retryable() {
			t.Fatalf("error %v", e)
		}
	}
	f.wantCopies(2*breakerLimit, 0, 0)
}
