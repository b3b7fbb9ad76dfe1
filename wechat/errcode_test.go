package wechat

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// What a caller may ask of an APIError, as the outbox does.
var _ interface {
	Retryable() bool
	Reason() string
	AllowanceGone() bool
	MaybeSent() bool
	RetryAfter() time.Duration
} = (*APIError)(nil)

var _ interface{ ErrCode() int } = (*APIError)(nil)

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		class  class
		reason string
		codes  []int
	}{
		{classOK, "ok", []int{0}},
		{classRetry, "busy", []int{-1}},
		{classToken, "token", []int{40001, 40014, 41001, 42001}},
		{classApp, "quota", []int{45009, 45011}},
		{classApp, "ip_not_allowed", []int{40164, 89503, 89506, 89507}},
		{classAllowance, "not_following", []int{43004}},
		{classAllowance, "out_of_window", []int{45015}},
		{classAllowance, "out_of_count", []int{45047}},
		{classRetry, "agent_offline", []int{61459, 65415}},
		{classBury, "bad_openid", []int{40003}},
		{classBury, "bad_app_id", []int{40013, 41002}},
		{classBury, "bad_secret", []int{40125, 40243, 41004}},
		{classBury, "unauthorized", []int{43104, 48001}},
		{classBury, "quota_resets_used", []int{48006}},
		{classBury, "limited", []int{50002}},
		{classBury, "bad_media", []int{40004, 40005, 40007, 41005, 41006, 44001}},
		{classBury, "too_large", []int{40006, 40009, 45001, 45002}},
		{classBury, "bad_request", []int{40002, 45072, 47001, 65416, 65417}},
		{classBury, "typing", []int{45080, 45081}},
		{classBury, "desk_disabled", []int{65400}},
		{classBury, "bad_agent", []int{65401, 65402, 65403, 65404, 65409, 65412}},
		{classBury, "agent_limit", []int{65405, 65410}},
		{classBury, "agent_exists", []int{65406, 65407, 65408, 65411}},
		{classBury, "served_by_other", []int{61458, 65414}},
		{classBury, "no_session", []int{65413}},
		{classBury, "errcode", []int{1, -2, 44002, 99999999}},
	} {
		for _, code := range tc.codes {
			if got, want := judge(code), (verdict{tc.class, tc.reason}); got != want {
				t.Errorf("judge(%d) = %+v, want %+v", code, got, want)
			}
			e := &APIError{Op: "send", App: "shop", Code: code}
			retry := tc.class == classRetry || tc.class == classToken || tc.class == classApp
			if e.Retryable() != retry || e.AllowanceGone() != (tc.class == classAllowance) ||
				e.Reason() != tc.reason || e.RetryAfter() != 0 || e.MaybeSent() {
				t.Errorf("errcode %d: retryable %v, allowance gone %v, reason %s, after %s, maybe sent %v", code,
					e.Retryable(), e.AllowanceGone(), e.Reason(), e.RetryAfter(), e.MaybeSent())
			}
		}
	}
}

func TestAPIErrorText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		e    *APIError
		want string
	}{
		{
			&APIError{Op: "send", App: "shop", Code: 48001, Status: 200, Msg: "api unauthorized"},
			"send for app shop: errcode 48001: api unauthorized (unauthorized)",
		},
		{
			&APIError{Op: "token", App: "shop", Status: 502, fault: faultStatus},
			"token for app shop: HTTP status 502: (http_status)",
		},
		{
			&APIError{Op: "send", App: "shop", fault: faultTransport, Msg: "connection refused"},
			"send for app shop: connection refused (transport)",
		},
	} {
		if got := tc.e.Error(); got != tc.want {
			t.Errorf("Error() = %q, want %q", got, tc.want)
		}
	}
}

func TestAPIErrorUnwrap(t *testing.T) {
	t.Parallel()
	e := gaveUp(opSend, "shop", context.Canceled)
	if !errors.Is(e, context.Canceled) || errors.Is(e, context.DeadlineExceeded) || e.Reason() != "canceled" {
		t.Errorf("canceled: %v", e)
	}
	e = gaveUp(opSend, "shop", context.DeadlineExceeded)
	if !errors.Is(e, context.DeadlineExceeded) || errors.Is(e, context.Canceled) || e.Reason() != "timeout" {
		t.Errorf("deadline: %v", e)
	}
}

func TestPublicText(t *testing.T) {
	t.Parallel()
	private := []string{"", "T0K3N+1", "oUser"}
	for _, tc := range []struct{ name, in, want string }{
		{"as it is", "api unauthorized", "api unauthorized"},
		{"private", "invalid oUser here", "(withheld: it repeats what is private)"},
		{"private, escaped", "Get T0K3N%2B1 failed", "(withheld: it repeats what is private)"},
		{"several lines", "a\nb\tc\x00", "a b c "},
		{"no UTF-8", "a\xff", "a\ufffd"},
		{"cut between characters", strings.Repeat("错", 100), strings.Repeat("错", 66)},
	} {
		if got := publicText(tc.in, private); got != tc.want {
			t.Errorf("%s: publicText(%q) = %q, want %q", tc.name, tc.in, got, tc.want)
		}
	}
}

func TestWithoutTrace(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"api unauthorized rid: 5f0c-11-22":         "api unauthorized",
		"invalid openid hint: [a.b] rid: 5f0c":     "invalid openid",
		"access_token expired, hybrid: yes rid: 1": "access_token expired, hybrid: yes",
		"rid: 5f0c": "",
		"out of response count limit hint:[x] trailer": "out of response count limit",
		"ok": "ok",
	} {
		if got := withoutTrace(in); got != want {
			t.Errorf("withoutTrace(%q) = %q, want %q", in, got, want)
		}
	}
}
