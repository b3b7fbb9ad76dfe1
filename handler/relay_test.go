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
	"kefud/wechat"
)

// books are an Office and an Archive of one test's own.
type books struct {
	invited   []kefu.Invitation
	chats     []kefu.Chat
	said      map[kefu.CustomerID][]kefu.Saying
	forgotten []kefu.CustomerID
	err       error
}

func (b *books) Invite(_ context.Context, i kefu.Invitation) error {
	b.invited = append(b.invited, i)
	return b.err
}

func (b *books) Chats(context.Context) ([]kefu.Chat, error) { return b.chats, b.err }

func (b *books) Unbind(_ context.Context, agent kefu.AgentID) (bool, error) {
	for _, c := range b.chats {
		if c.Agent == agent {
			return true, b.err
		}
	}
	return false, b.err
}

func (b *books) Transcript(_ context.Context, c kefu.CustomerID) ([]kefu.Saying, error) {
	return b.said[c], b.err
}

func (b *books) Forget(_ context.Context, c kefu.CustomerID) error {
	b.forgotten = append(b.forgotten, c)
	return b.err
}

const (
	agentOpenid = "oWANG1234567890abcdefghijk"
	relayToken  = "t"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// newBooks is what the tests begin with: Wang's chat is bound, and so is that
// of somebody who has left.
func newBooks() *books {
	return &books{
		chats: []kefu.Chat{
			{Agent: "gone", ID: kefu.CustomerID{App: "board", User: "oGONE1234567890abcdefghijk"}, State: kefu.ChatGone},
			{Agent: "li", ID: kefu.CustomerID{App: "before", User: "oLI"}, State: kefu.ChatOnline},
			{Agent: "wang", ID: kefu.CustomerID{App: "board", User: agentOpenid}, State: kefu.ChatBusy, Until: noon},
		},
		said: map[kefu.CustomerID][]kefu.Saying{
			{App: "shop", User: openid}: {{ID: "1", At: noon, Direction: kefu.FromCustomer, Agent: "wang", Text: "有货吗", State: "accepted"}},
		},
	}
}

// relayRig is a handler in front of books.
func relayRig(t *testing.T, b *books) *rig {
	t.Helper()
	table, err := kefu.NewTable(nil, []kefu.Agent{
		{ID: "wang", Name: "王小姐", Relay: kefu.Relay{App: "board"}},
		{ID: "li", Name: "李先生", Relay: kefu.Relay{App: "board", User: "oLIxx1234567890abcdefghijk"}, Manual: kefu.Manual{State: kefu.ManualPaused}},
		{ID: "zhao", Name: "赵小姐"},
	})
	if err != nil {
		t.Fatal(err)
	}
	reg, r := prometheus.NewRegistry(), &rig{log: new(bytes.Buffer)}
	o := Options{
		Codec: func(app kefu.AppID) *wechat.Codec {
			return map[kefu.AppID]*wechat.Codec{"shop": {}}[app]
		},
		Token: func() string { return relayToken }, NewCode: func() string { return "K7PM2Q" },
		Table: func() *kefu.Table { return table }, Now: func() time.Time { return noon },
		Logger: zerolog.New(r.log), Registerer: reg, Gatherer: reg,
	}
	if b != nil {
		o.Office, o.Archive = b, b
	}
	r.Handler, err = New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const customerPath = "/api/v1/apps/shop/customers/" + openid

func TestRelayAdministration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, path string
		status             int
		want               string // a part of it
	}{
		{"agents", "GET", "/api/v1/agents", 200, `{"id":"wang","name":"王小姐","switchboard":"board","bound":"oWAN…hijk","state":"busy","until":"2026-11-22T12:00:00Z","presence":"auto"}`},
		{"an agent bound by the configuration", "GET", "/api/v1/agents", 200, `{"id":"li","name":"李先生","switchboard":"board","bound":"oLIx…hijk","state":"","presence":"paused"}`},
		{"an agent without relay", "GET", "/api/v1/agents", 200, `{"id":"zhao","name":"赵小姐","switchboard":"","bound":"","state":"","presence":"auto"}`},
		{"an agent who has left", "GET", "/api/v1/agents", 200, `{"id":"gone","name":"","switchboard":"board","bound":"oGON…hijk","state":"gone","presence":"","former":true}]`},
		{"invitation", "POST", "/api/v1/agents/wang/invitation", 201, `{"agent":"wang","code":"K7PM2Q","switchboard":"board","expires":"2026-11-22T12:10:00Z"}`},
		{"invitation of nobody", "POST", "/api/v1/agents/chen/invitation", 404, "no such agent"},
		{"invitation without a switchboard", "POST", "/api/v1/agents/zhao/invitation", 409, "relay.app"},
		{"unbind", "DELETE", "/api/v1/agents/wang/chat", 204, ""},
		{"unbind who has left", "DELETE", "/api/v1/agents/gone/chat", 204, ""},
		{"unbind who is not bound", "DELETE", "/api/v1/agents/zhao/chat", 404, "no chat is bound"},
		{"transcript", "GET", customerPath + "/transcript", 200, `{"app":"shop","customer":"oABC…hijk","messages":[{"id":"1","at":"2026-11-22T12:00:00Z","direction":"customer","agent":"wang","text":"有货吗","state":"accepted"}]}`},
		{"transcript of a stranger", "GET", "/api/v1/apps/shop/customers/oX/transcript", 404, "no message of this customer"},
		{"transcript in no app", "GET", "/api/v1/apps/other/customers/oX/transcript", 404, "no such app"},
		{"forget", "DELETE", customerPath, 204, ""},
		{"forget a stranger", "DELETE", "/api/v1/apps/shop/customers/oX", 204, ""},
		{"forget in no app", "DELETE", "/api/v1/apps/other/customers/oX", 404, "no such app"},
		{"another method", "PUT", "/api/v1/agents", 405, "does not take this method"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := relayRig(t, newBooks()).do(t, tt.method, tt.path, "", "Authorization", "Bearer "+relayToken)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, tt.status, tt.want)
			}
			if tt.status == http.StatusNoContent && w.Body.Len() > 0 {
				t.Errorf("a body: %s", w.Body)
			}
			if strings.Contains(w.Body.String(), openid) || strings.Contains(w.Body.String(), agentOpenid) {
				t.Errorf("a whole openid stands in %s", w.Body)
			}
			if got := w.Header().Get("Content-Type"); tt.status >= 400 && got != "application/problem+json" {
				t.Errorf("content type %q, want a problem", got)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q, want no-store", got)
			}
		})
	}
}

// relayRoutes are all routes of the relay.
var relayRoutes = [][2]string{
	{"GET", "/api/v1/agents"},
	{"POST", "/api/v1/agents/wang/invitation"},
	{"DELETE", "/api/v1/agents/wang/chat"},
	{"GET", customerPath + "/transcript"},
	{"DELETE", customerPath},
}

func TestRelayAdministrationIsRefused(t *testing.T) {
	t.Parallel()
	down := newBooks()
	down.err = errors.New("dial: refused")
	for _, tt := range []struct {
		name   string
		books  *books
		token  string
		status int
		want   string
	}{
		{"no token", newBooks(), "", 401, "admin.token"},
		{"store down", down, relayToken, 503, "the store does not answer"},
		{"no relay", nil, relayToken, 501, "this server has no relay"},
		{"no relay and no token", nil, "", 401, "admin.token"},
	} {
		r := relayRig(t, tt.books)
		for _, route := range relayRoutes {
			w := r.do(t, route[0], route[1], "", "Authorization", "Bearer "+tt.token)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %s: %d %s, want %d and %q", tt.name, route, w.Code, w.Body, tt.status, tt.want)
			}
		}
		if log := r.log.String(); strings.Contains(log, openid) || strings.Contains(log, "K7PM2Q") {
			t.Errorf("%s: the log tells too much: %s", tt.name, log)
		}
	}
}

func TestWhatTheRelayIsAsked(t *testing.T) {
	t.Parallel()
	b := newBooks()
	r := relayRig(t, b)
	for _, route := range relayRoutes {
		r.do(t, route[0], route[1], "", "Authorization", "Bearer "+relayToken)
	}
	if diff := cmp.Diff([]kefu.Invitation{{Agent: "wang", App: "board", Code: "K7PM2Q", At: noon, For: 10 * time.Minute}}, b.invited); diff != "" {
		t.Errorf("invited (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]kefu.CustomerID{{App: "shop", User: openid}}, b.forgotten); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
}

func TestAgentsOfAnEmptyConfigurationAreAList(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(NewAgents(&kefu.Table{}, nil))
	if err != nil || string(got) != "[]" {
		t.Errorf("%s, %v; want []", got, err)
	}
}
