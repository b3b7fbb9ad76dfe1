package wechat

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

// answering lets a fake API answer one path with a text.
func answering(f *fakeAPI, path, text string) {
	f.set(func(f *fakeAPI) {
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != path {
				return false
			}
			_, _ = io.WriteString(w, text)
			return true
		}
	})
}

func TestStaff(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	answering(f, "/cgi-bin/customservice/getkflist",
		`{"kf_list":[{"kf_account":"kf1@gh_1","kf_id":1001,"kf_nick":"a"},{"kf_openid":"oAgent1","kf_id":"1002"}]}`)
	got, err := f.client().Staff(t.Context(), "shop")
	if diff := cmp.Diff([]kefu.Listed{{Account: "kf1@gh_1", ID: "1001"}, {User: "oAgent1", ID: "1002"}}, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	answering(f, "/cgi-bin/customservice/getkflist", `{"errcode":48001,"errmsg":"api unauthorized"}`)
	_, err = f.client().Staff(t.Context(), "shop")
	if e := fakeAPIError(t, err); e.Code != 48001 || e.Op != "staff" {
		t.Errorf("got %v", e)
	}
}

func TestOnlineRowsHaveWhoIsOffline(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.online = `{"kf_online_list":[{"kf_id":"1","status":0},{"kf_id":"2","status":1}]}`
	got, err := f.client().OnlineRows(t.Context(), "shop")
	want := []OnlineRow{{Listed: kefu.Listed{ID: "1"}}, {Listed: kefu.Listed{ID: "2"}, Online: true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

// Asking for a token gives the one that everybody has, and does so anew each
// time; the fake fails the test if it is asked for by force.
func TestFetchToken(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	for range 2 {
		until, err := c.FetchToken(t.Context(), "shop")
		if want := f.clock.Now().UTC().Add(2 * time.Hour); err != nil || !until.Equal(want) {
			t.Errorf("until %v, %v; want %v", until, err, want)
		}
	}
	f.wantCalls("/cgi-bin/stable_token", 2)
	if f.serial != 1 {
		t.Errorf("%d tokens were made, want 1", f.serial)
	}
	if err := fakeAPISend(t, c); err != nil {
		t.Errorf("the client's own token: %v", err)
	}
	_, err := c.FetchToken(t.Context(), "nosuch")
	if e := fakeAPIError(t, err); e.Reason() != "unknown_app" {
		t.Errorf("of no app: %v", e)
	}
	wrong := f.client(func(o *ClientOptions) { o.Apps[0].Secret = "wrong-secret" })
	_, err = wrong.FetchToken(t.Context(), "shop")
	if e := fakeAPIError(t, err); e.Code != 40125 || strings.Contains(e.Error(), "wrong-secret") {
		t.Errorf("with a wrong secret: %v", e)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	ahead := 90 * time.Second
	date := func() string { return f.clock.Now().Add(ahead).UTC().Format(http.TimeFormat) }
	f.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header()["Date"] = []string{date()}
		return false
	}
	// No secret is needed: the answer is an errcode, and has a date.
	c := f.client(func(o *ClientOptions) { o.Apps = nil })
	if got, err := c.Clock(t.Context()); err != nil || (got-ahead).Abs() > time.Second {
		t.Errorf("%s ahead, %v; want %s", got, err, ahead)
	}
	date = func() string { return "" }
	if _, err := c.Clock(t.Context()); err == nil || !strings.Contains(err.Error(), "no date") {
		t.Errorf("without a date: %v", err)
	}
	gone := f.client(func(o *ClientOptions) { o.BaseURL = "http://127.0.0.1:1" })
	if _, err := gone.Clock(t.Context()); err == nil || strings.Contains(err.Error(), "getcallbackip") {
		t.Errorf("of nobody: %v", err)
	}
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	const clearJSON = headJSON + `"MsgType":"text","Content":"hi",` + idJSON
	const clearXML = headXML + "<MsgType>text</MsgType><Content>hi</Content>" + idXML
	wrapped := func(way, message string) func(*testing.T) (Query, string) {
		return func(t *testing.T) (Query, string) { t.Helper(); return wrap(t, way, message) }
	}
	for _, tt := range []struct {
		name    string
		options CodecOptions
		sample  func(*testing.T) (Query, string)
		want    Diagnosis
		refused string // a part of Err
	}{
		{"plain", CodecOptions{Encryption: Plain}, wrapped(inClear, clearJSON), Diagnosis{Signed: true, Mode: Plain, JSON: true, Receiver: sampleAccount}, ""},
		{"plain for safe", CodecOptions{Encryption: Safe}, wrapped(inClear, clearXML), Diagnosis{Signed: true, Mode: Plain, Receiver: sampleAccount}, "not encrypted"},
		{"safe", CodecOptions{Encryption: Safe}, wrapped(sealed, clearXML), Diagnosis{Signed: true, Mode: Safe, Sealed: true, Key: 1, Receiver: sampleAccount}, ""},
		{"compatible", CodecOptions{Encryption: Safe}, wrapped(beside, clearJSON), Diagnosis{Signed: true, Mode: Compatible, JSON: true, Sealed: true, Key: 1, Receiver: sampleAccount}, ""},
		{
			"another key",
			CodecOptions{Encryption: Safe, Key: testOldKey},
			wrapped(sealed, clearXML),
			Diagnosis{Signed: true, Mode: Safe, Sealed: true, Receiver: "other"},
			"unreadable",
		},
		{
			"the previous key",
			CodecOptions{Encryption: Safe, Key: testOldKey, PreviousKey: testKey},
			wrapped(sealed, clearXML),
			Diagnosis{Signed: true, Mode: Safe, Sealed: true, Key: 2, Receiver: sampleAccount},
			"",
		},
		{
			"JSON for an official account",
			CodecOptions{Encryption: Safe, XMLOnly: true},
			wrapped(sealed, clearJSON),
			Diagnosis{Signed: true, Mode: Safe, JSON: true, Sealed: true, Key: 1, Receiver: sampleAccount},
			"XML",
		},
		{"old", CodecOptions{Encryption: Plain}, func(*testing.T) (Query, string) {
			return queryFor(testNow.Add(-time.Hour), ""), clearXML
		}, Diagnosis{Signed: true, Mode: Plain, Age: time.Hour, Receiver: sampleAccount}, ""},
		{"a wrong signature", CodecOptions{Encryption: Plain}, func(*testing.T) (Query, string) {
			q := queryFor(testNow, "")
			q.Signature = strings.Repeat("0", 40)
			return q, clearXML
		}, Diagnosis{Mode: Plain, Receiver: sampleAccount}, "signature"},
		{"another ciphertext", CodecOptions{Encryption: Safe}, func(t *testing.T) (Query, string) {
			t.Helper()
			q, body := wrap(t, sealed, clearXML)
			q.MessageSignature = strings.Repeat("0", 40)
			return q, body
		}, Diagnosis{Signed: true, Mode: Safe, Key: 1, Receiver: sampleAccount}, "msg_signature"},
		{"no push", CodecOptions{Encryption: Plain}, wrapped(inClear, "hello"), Diagnosis{Signed: true}, "neither XML nor JSON"},
		{"an empty push", CodecOptions{Encryption: Plain}, wrapped(inClear, "{}"), Diagnosis{Signed: true, JSON: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q, body := tt.sample(t)
			got := mustCodec(t, tt.options).Diagnose(q, []byte(body))
			if (got.Err == nil) != (tt.refused == "") || got.Err != nil && !strings.Contains(got.Err.Error(), tt.refused) {
				t.Errorf("refused with %v, want %q", got.Err, tt.refused)
			}
			got.Err = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
