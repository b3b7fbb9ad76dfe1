package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

// owes is an Outbox of one test's own.
type owes struct {
	asked   []kefu.OwedQuery
	retried []string
	page    kefu.OwedPage
	revival kefu.Revival
	err     error
}

func (o *owes) Owed(_ context.Context, q kefu.OwedQuery) (kefu.OwedPage, error) {
	o.asked = append(o.asked, q)
	return o.page, o.err
}

func (o *owes) Retry(_ context.Context, id string) (kefu.Revival, error) {
	o.retried = append(o.retried, id)
	return o.revival, o.err
}

func outboxRig(t *testing.T, o *owes) *rig {
	t.Helper()
	reg, r := prometheus.NewRegistry(), &rig{log: new(bytes.Buffer)}
	options := Options{
		Token: func() string { return relayToken }, Now: func() time.Time { return noon },
		Logger: zerolog.New(r.log), Registerer: reg, Gatherer: reg,
	}
	if o != nil {
		options.Outbox = o
	}
	var err error
	if r.Handler, err = New(options); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOutboxList(t *testing.T) {
	t.Parallel()
	o := &owes{page: kefu.OwedPage{Next: "3.0.0", Deliveries: []kefu.Owed{
		{
			ID: "1.ab.1-1a", To: kefu.CustomerID{App: "shop", User: openid}, Kind: "answer", Agent: "wang", State: kefu.OwedBuried,
			Reason: "unauthorized", Code: 48001, Attempts: 2, At: noon, Buried: noon.Add(time.Second), Until: noon.Add(time.Hour),
		},
		{ID: "1.ab.1-2", To: kefu.CustomerID{App: "shop", User: openid}, Kind: "greeting", State: kefu.OwedWaiting, At: noon, Due: noon},
	}}}
	w := outboxRig(t, o).do(t, "GET", "/api/v1/outbox?state=waiting&app=shop&limit=7&cursor=1.2.3", "", "Authorization", "Bearer "+relayToken)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := `{"deliveries":[` +
		`{"id":"1.ab.1-1a","app":"shop","customer":"oABC…hijk","kind":"answer","agent":"wang","state":"buried","reason":"unauthorized","errcode":48001,` +
		`"meaning":"the app has no permission for this API","attempts":2,"since":"2026-11-22T12:00:00Z","buried":"2026-11-22T12:00:01Z","until":"2026-11-22T13:00:00Z"},` +
		`{"id":"1.ab.1-2","app":"shop","customer":"oABC…hijk","kind":"greeting","state":"waiting","attempts":0,"since":"2026-11-22T12:00:00Z","due":"2026-11-22T12:00:00Z"}` +
		`],"next":"3.0.0"}`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]kefu.OwedQuery{{State: kefu.OwedWaiting, App: "shop", Limit: 7, Cursor: "1.2.3"}}, o.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestOutboxListOfNothingIsAList(t *testing.T) {
	t.Parallel()
	o := &owes{}
	w := outboxRig(t, o).do(t, "GET", "/api/v1/outbox", "", "Authorization", "Bearer "+relayToken)
	if w.Code != http.StatusOK || w.Body.String() != `{"deliveries":[]}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]kefu.OwedQuery{{State: kefu.OwedBuried, Limit: OwedDefault}}, o.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestOutboxRetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		r      kefu.Revival
		status int
		want   string
	}{
		{"put back", kefu.Revival{Until: noon}, 200, `{"id":"1.ab.1-1a","state":"waiting","until":"2026-11-22T12:00:00Z"}`},
		{"again", kefu.Revival{Outcome: kefu.RevivedBefore}, 200, `{"id":"1.ab.1-1a","state":"waiting","again":true}`},
		{"unknown", kefu.Revival{Outcome: kefu.RevivalUnknown}, 404, "no such delivery is buried"},
		{"too late", kefu.Revival{Outcome: kefu.RevivalOver, Until: noon}, 409, "ended at 2026-11-22T12:00:00Z"},
		{"never allowed", kefu.Revival{Outcome: kefu.RevivalOver}, 409, "ended before"},
		{"useless", kefu.Revival{Outcome: kefu.RevivalExpired, Until: noon}, 409, "good until 2026-11-22T12:00:00Z"},
		{"forgotten", kefu.Revival{Outcome: kefu.RevivalForgotten}, 409, "nothing is known of this customer"},
		{"a line", kefu.Revival{Outcome: kefu.RevivalOfLine}, 409, "somebody else"},
		{"unreadable", kefu.Revival{Outcome: kefu.RevivalUnreadable}, 409, "transcript.key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := &owes{revival: tt.r}
			w := outboxRig(t, o).do(t, "POST", "/api/v1/outbox/1.ab.1-1a/retry", "", "Authorization", "Bearer "+relayToken)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, tt.status, tt.want)
			}
			if got := w.Header().Get("Content-Type"); tt.status >= 400 && got != "application/problem+json" {
				t.Errorf("content type %q, want a problem", got)
			}
			if diff := cmp.Diff([]string{"1.ab.1-1a"}, o.retried); diff != "" {
				t.Errorf("retried (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutboxIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		owes         *owes
		method, path string
		token        string
		status       int
		want         string
	}{
		{"no token", &owes{}, "GET", "/api/v1/outbox", "", 401, "admin.token"},
		{"no token to retry", &owes{}, "POST", "/api/v1/outbox/x/retry", "", 401, "admin.token"},
		{"no outbox", nil, "GET", "/api/v1/outbox", relayToken, 501, "this server has no outbox"},
		{"no outbox to retry", nil, "POST", "/api/v1/outbox/x/retry", relayToken, 501, "this server has no outbox"},
		{"store down", &owes{err: errors.New("dial: refused")}, "GET", "/api/v1/outbox", relayToken, 503, "the store does not answer"},
		{"store down at a retry", &owes{err: errors.New("dial: refused")}, "POST", "/api/v1/outbox/x/retry", relayToken, 503, "the store does not answer"},
		{"no state", &owes{}, "GET", "/api/v1/outbox?state=sent", relayToken, 400, "state"},
		{"limit 0", &owes{}, "GET", "/api/v1/outbox?limit=0", relayToken, 400, "from 1 to 500"},
		{"limit too large", &owes{}, "GET", "/api/v1/outbox?limit=501", relayToken, 400, "from 1 to 500"},
		{"limit no number", &owes{}, "GET", "/api/v1/outbox?limit=x", relayToken, 400, "from 1 to 500"},
		{"another method", &owes{}, "DELETE", "/api/v1/outbox", relayToken, 405, "does not take this method"},
	} {
		w := outboxRig(t, tt.owes).do(t, tt.method, tt.path, "", "Authorization", "Bearer "+tt.token)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s, want %d and %q", tt.name, w.Code, w.Body, tt.status, tt.want)
		}
		var problem struct{ Status int }
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.Status != tt.status {
			t.Errorf("%s: %s is no problem: %v", tt.name, w.Body, err)
		}
	}
}
