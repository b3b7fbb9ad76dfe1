package wechat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

// Every fault that a call can have, and those of pictures: none of them sends
// anything, and none tells what it should not.
func TestMediaGetFaults(t *testing.T) {
	t.Parallel()
	picture := func(kind, data string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			_, _ = io.WriteString(w, data)
		}
	}
	faults := append(fakeAPIFaults(),
		fakeAPIFault{
			name: "unknown media_id", reason: "bad_media", status: 200, code: 40007,
			answer: func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, `{"errcode":40007,"errmsg":"invalid media_id `+r.URL.Query().Get("media_id")+` rid: 1"}`)
			},
		},
		fakeAPIFault{
			name: "JSON as a picture", reason: "bad_media", status: 200, code: 40007,
			answer: picture("image/jpeg", " \n"+`{"errcode":40007,"errmsg":"invalid media_id"}`),
		},
		fakeAPIFault{
			name: "JSON without an errcode", reason: "bad_media", status: 200,
			answer: picture("application/json", `{"video_url":"http://x/T0K3N"}`),
		},
		fakeAPIFault{name: "cut JSON as a picture", reason: "bad_answer", status: 200, retry: true, answer: picture("image/jpeg", `{"errcode":40`)},
		fakeAPIFault{name: "video", reason: "bad_media", status: 200, answer: picture("video/mp4", "\x00\x00\x00 ftypmp42")},
		fakeAPIFault{name: "voice", reason: "bad_media", status: 200, answer: picture("audio/amr", "#!AMR\n")},
		fakeAPIFault{name: "page", reason: "bad_answer", status: 200, retry: true, answer: picture("text/html", "<!DOCTYPE html><p>"+fakeMediaID)},
		fakeAPIFault{name: "page as a picture", reason: "bad_answer", status: 200, retry: true, answer: picture("image/png", "<!DOCTYPE html><p>T0K3N")},
		fakeAPIFault{name: "text as a picture", reason: "bad_answer", status: 200, retry: true, answer: picture("image/png", "T0K3N")},
		fakeAPIFault{name: "picture as a page", reason: "bad_answer", status: 200, retry: true, answer: picture("text/html", fakeJPEG)},
		fakeAPIFault{name: "picture as JSON", reason: "bad_answer", status: 200, retry: true, answer: picture("application/json", fakeJPEG)},
		fakeAPIFault{name: "bytes of no kind", reason: "bad_answer", status: 200, retry: true, answer: picture("application/octet-stream", "\x00\x01\x02")},
		fakeAPIFault{name: "empty picture", reason: "bad_answer", status: 200, retry: true, answer: picture("image/jpeg", "")},
		fakeAPIFault{name: "too large", reason: "too_large", status: 200, answer: picture("image/jpeg", fakeJPEG+strings.Repeat("x", maxPicture))},
		fakeAPIFault{name: "too large a page", reason: "bad_answer", status: 200, retry: true, answer: picture("text/html", strings.Repeat("x", maxPicture+1))},
		fakeAPIFault{
			name: "picture with a bad status", reason: "bad_answer", status: 404, retry: true,
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "image/jpeg")
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, fakeJPEG)
			},
		},
		fakeAPIFault{
			name: "picture cut", reason: "transport", status: 200, retry: true, onceMore: true,
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "image/jpeg")
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, fakeJPEG)
			},
		},
	)
	for _, tc := range faults {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			wantMediaFault(t, tc, "media_get", func(m *fakeMedia) { m.get = tc.answer })
		})
	}
}

func TestMediaUploadFaults(t *testing.T) {
	t.Parallel()
	faults := append(fakeAPIFaults(),
		fakeAPIFault{name: "no media_id", reason: "bad_answer", status: 200, retry: true, answer: fakeAPIWrite(200, `{"type":"image","created_at":1}`)},
		fakeAPIFault{name: "odd media_id", reason: "bad_answer", status: 200, retry: true, answer: fakeAPIWrite(200, `{"media_id":["COPY_1"]}`)},
		fakeAPIFault{name: "not a picture", reason: "bad_media", status: 200, code: 40004, answer: fakeAPIWrite(200, `{"errcode":40004,"errmsg":"invalid media type"}`)},
		fakeAPIFault{name: "no data", reason: "bad_media", status: 200, code: 41005, answer: fakeAPIWrite(200, `{"errcode":41005,"errmsg":"media data missing"}`)},
		fakeAPIFault{name: "size", reason: "too_large", status: 200, code: 40009, answer: fakeAPIWrite(200, `{"errcode":40009,"errmsg":"invalid image size"}`)},
		fakeAPIFault{name: "too large", reason: "too_large", status: 413, code: 45001, answer: fakeAPIWrite(413, `{"errcode":45001,"errmsg":"multimedia is too large"}`)},
	)
	for _, tc := range faults {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			wantMediaFault(t, tc, "media_upload", func(m *fakeMedia) { m.put = tc.answer })
		})
	}
}

func wantMediaFault(t *testing.T, tc fakeAPIFault, op string, change func(*fakeMedia)) {
	t.Helper()
	f, m := newFakeMedia(t)
	var lines bytes.Buffer
	c := f.client(withBoard, func(o *ClientOptions) {
		o.Logger = zerolog.New(&lines)
		// Or net/http repeats a GET by itself if a connection was used before.
		o.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	})
	m.set(change)
	app, path := kefu.AppID("shop"), fakeMediaGet
	if op == opMediaUpload {
		app, path = "board", fakeMediaPut
	}
	e := fakeAPIError(t, fakeImage(t, c))
	if e.Op != op || e.App != app || e.Reason() != tc.reason || e.Code != tc.code || e.Status != tc.status {
		t.Errorf("error %v: app %s, code %d, status %d; want %s of %s, %s, %d, %d", e, e.App, e.Code, e.Status, op, app, tc.reason, tc.code, tc.status)
	}
	if e.MaybeSent() || e.Retryable() != tc.retry || !tc.fits(e.RetryAfter()) || e.AllowanceGone() != tc.gone {
		t.Errorf("maybe sent %v, retryable %v, after %s, allowance gone %v", e.MaybeSent(), e.Retryable(), e.RetryAfter(), e.AllowanceGone())
	}
	want := 1
	if tc.onceMore {
		want = 2
	}
	f.wantCalls(path, want)
	f.wantCalls(fakeMediaSend, 0)
	fakeMediaHidden(t, e.Error()+lines.String())

	m.set(func(m *fakeMedia) { m.get, m.put = nil, nil })
	f.clock.Advance(tc.after)
	if err := fakeImage(t, c); err != nil { // nothing of it is remembered
		t.Errorf("after that: %v", err)
	}
}

// A picture may take three times as long as other calls.
func TestMediaTimeout(t *testing.T) {
	t.Parallel()
	f, m := newFakeMedia(t)
	c := f.client(withBoard, func(o *ClientOptions) { o.Timeout = 100 * time.Millisecond })
	m.set(func(m *fakeMedia) { m.get = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() } })
	began := time.Now()
	e := fakeAPIError(t, fakeImage(t, c))
	if e.Reason() != "timeout" || e.MaybeSent() || !e.Retryable() || !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("error %v, maybe sent %v", e, e.MaybeSent())
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("given up after %s", took)
	}
	fakeMediaHidden(t, e.Error())
}

// mediaFake is a MediaCache that fails on demand.
type mediaFake struct {
	*mediaMemory

	fails error
	hangs bool
	gets  int
	puts  int
	ttl   time.Duration
}

func (c *mediaFake) Media(ctx context.Context, to kefu.AppID, m kefu.Media) (string, bool, error) {
	c.gets++
	if c.hangs {
		<-ctx.Done()
		return "", false, ctx.Err()
	}
	if c.fails != nil {
		return "", false, c.fails
	}
	return c.mediaMemory.Media(ctx, to, m)
}

func (c *mediaFake) PutMedia(ctx context.Context, to kefu.AppID, m kefu.Media, id string, ttl time.Duration) error {
	c.puts++
	c.ttl = ttl
	if c.fails != nil {
		return c.fails
	}
	return c.mediaMemory.PutMedia(ctx, to, m, id, ttl)
}

func TestMediaCacheShared(t *testing.T) {
	t.Parallel()
	f, _ := newFakeMedia(t)
	shared := &mediaFake{mediaMemory: newMediaMemory(f.clock.Now)}
	for range 2 {
		c := f.client(withBoard, func(o *ClientOptions) { o.Media = shared })
		if err := fakeImage(t, c); err != nil {
			t.Fatal(err)
		}
	}
	f.wantCopies(1, 1, 2)
	if shared.gets != 2 || shared.puts != 1 || shared.ttl != 60*time.Hour {
		t.Errorf("%d reads, %d writes for %s", shared.gets, shared.puts, shared.ttl)
	}
}

// Without the cache pictures are copied each time, and it is left alone for a while.
func TestMediaCacheFails(t *testing.T) {
	t.Parallel()
	f, _ := newFakeMedia(t)
	var lines bytes.Buffer
	shared := &mediaFake{mediaMemory: newMediaMemory(f.clock.Now), fails: errors.New("down")}
	c := f.client(withBoard, func(o *ClientOptions) { o.Media, o.Logger = shared, zerolog.New(&lines) })
	send := func(copies, sends, gets int) {
		t.Helper()
		if err := fakeImage(t, c); err != nil {
			t.Fatal(err)
		}
		f.wantCopies(copies, copies, sends)
		if shared.gets != gets {
			t.Errorf("%d reads, want %d", shared.gets, gets)
		}
	}
	send(1, 1, 1)
	send(2, 2, 1)
	f.clock.Advance(cachePause)
	send(3, 3, 2)
	f.clock.Advance(cachePause)
	shared.fails, shared.hangs = nil, true
	send(4, 4, 3)
	f.clock.Advance(cachePause)
	shared.hangs = false
	send(5, 5, 4)
	send(5, 6, 5)
	if n := strings.Count(lines.String(), "media cache does not answer"); n != 2 { // at first, and 10 s later
		t.Errorf("%d lines: %s", n, lines.String())
	}
	fakeMediaHidden(t, lines.String())
}

func TestMediaMemory(t *testing.T) {
	t.Parallel()
	clock := newFakeAPIClock()
	m := newMediaMemory(clock.Now)
	put := func(id string, ttl time.Duration) {
		t.Helper()
		if err := m.PutMedia(t.Context(), "board", kefu.Media{App: "shop", ID: id}, "copy of "+id, ttl); err != nil {
			t.Fatal(err)
		}
	}
	known := func(id string) bool {
		t.Helper()
		got, ok, err := m.Media(t.Context(), "board", kefu.Media{App: "shop", ID: id})
		if err != nil || ok && got != "copy of "+id {
			t.Errorf("copy of %s: %q, %v", id, got, err)
		}
		return ok
	}
	put("first", time.Hour)
	put("short", time.Minute)
	for i := range mediaKept - 2 {
		put(strings.Repeat("x", i+1), 2*time.Hour)
	}
	put("first", time.Hour) // takes no more room
	if !known("first") || !known("short") || len(m.copies) != mediaKept {
		t.Errorf("%d copies, want %d", len(m.copies), mediaKept)
	}
	put("new", time.Hour)
	if known("short") || !known("first") || !known("new") || len(m.copies) != mediaKept {
		t.Error("not the one that lapses first made room")
	}
	clock.Advance(time.Hour)
	if known("first") || !known("x") {
		t.Error("a copy does not lapse when it should")
	}
}
