package wechat

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

func TestOnlineList(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, answer string
		want         []kefu.Listed
	}{
		{"nobody", `{"kf_online_list":[]}`, []kefu.Listed{}},
		{"no list", `{"errcode":0,"errmsg":"ok"}`, []kefu.Listed{}},
		{"null", `{"kf_online_list":null}`, []kefu.Listed{}},
		{
			"as the page's sample for mini-programs",
			`{"kf_online_list":[{"kf_account":"","status":1,"kf_id":"","kf_openid":"oAgent1"}]}`,
			[]kefu.Listed{{User: "oAgent1"}},
		},
		{
			"official account, kf_id a number, further fields",
			`{"errcode":0,"kf_online_list":[{"kf_account":"kf1@gh_1","status":1,"kf_id":1001,"accepted_case":2,"auto_accept":{}}]}`,
			[]kefu.Listed{{Account: "kf1@gh_1", ID: "1001"}},
		},
		{
			"every way of being online, none of being offline",
			`{"kf_online_list":[{"kf_id":"0001","status":0},{"kf_id":"2","status":1},{"kf_id":"3","status":"2"},{"kf_id":4,"status":3},
			  {"kf_id":"5","status":"0"},{"kf_id":"6"},{"kf_id":"7","status":null},{"kf_id":"8","status":-1},{"kf_id":"9","status":"x"}]}`,
			[]kefu.Listed{{ID: "2"}, {ID: "3"}, {ID: "4"}},
		},
		{"long number kept as written", `{"kf_online_list":[{"status":1,"kf_id":90071992547409931}]}`, []kefu.Listed{{ID: "90071992547409931"}}},
		{"nobody knows who", `{"kf_online_list":[{"status":1},{"status":1,"kf_id":{},"kf_account":[],"kf_openid":true}]}`, []kefu.Listed{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			f.online = tc.answer
			got, err := f.client().OnlineList(t.Context(), "shop")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(kefu.OnlineList{At: f.clock.Now(), Agents: tc.want}, got); diff != "" {
				t.Errorf("OnlineList (-want +got):\n%s", diff)
			}
			f.wantCalls("/cgi-bin/customservice/getonlinekflist", 1)
		})
	}
}

func TestOnlineListOfAnotherForm(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.online = `{"kf_online_list":{"kf_id":"1","status":1}}`
	list, err := f.client().OnlineList(t.Context(), "shop")
	e := fakeAPIError(t, err)
	if e.Reason() != "bad_answer" || !e.Retryable() || list.Agents != nil {
		t.Errorf("got %v and %v", list, e)
	}
}

func TestJudgeAnswerBounds(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]bool{maxAnswer: true, maxAnswer + 1: false} {
		body := "{}" + strings.Repeat(" ", length-2)
		if e := judgeAnswer(200, []byte(body), nil); (e == nil) != want {
			t.Errorf("answer of %d bytes: %v", length, e)
		}
	}
}

func FuzzJudgeAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"errcode":0,"errmsg":"ok"}`, `{}`, `{"errcode":"40001"}`, `{"errcode":-1e3}`, `{"errcode":null,"kf_online_list":null}`,
		`{"kf_online_list":[{"kf_account":"","status":"1","kf_id":1001}]}`, `{"kf_online_list":[null,1]}`, `<html>`, ``, ` {"errcode":`,
		`{"errcode":48001,"errmsg":"api \u0000 unauthorized hint: [x] rid: 1"}`, `{"errcode":""}`, `{"ERRCODE":1}`, "{\"errmsg\":\"\xff\"}",
	} {
		f.Add(200, []byte(seed))
	}
	f.Add(502, []byte(`{"errcode":0}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var list onlineList
		e := judgeAnswer(status, body, &list)
		if e == nil {
			if status < 200 || status > 299 || !json.Valid(body) {
				t.Fatalf("status %d, body %q taken for a success", status, body)
			}
			return
		}
		if e.Code == 0 && !e.Retryable() {
			t.Errorf("%v without an errcode is not retryable", e)
		}
		if msg := publicText(e.Msg, nil); len(msg) > maxMsg {
			t.Errorf("message of %d bytes", len(msg))
		}
		if e.Reason() == "" || e.Reason() == "ok" {
			t.Errorf("reason %q", e.Reason())
		}
	})
}
