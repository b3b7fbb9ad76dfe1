package outbox

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func testOutbox(t *testing.T, s Sender) *Outbox {
	t.Helper()
	return New(Options{
		Queue: newFakeQueue(t, 1), Sender: s, Table: testTable(t), MaxAttempts: 5,
		Now: func() time.Time { return noon },
	})
}

func TestDecideWithoutSending(t *testing.T) {
	t.Parallel()
	customer := kefu.CustomerID{App: "shop", User: "a"}
	lane := func(change func(*kefu.Lane)) kefu.Lane {
		l := kefu.Lane{Allowed: true, Lease: noon.Add(9 * time.Second), Delivery: kefu.Delivery{
			To: customer, Notice: kefu.NoticeGreeting, Entry: "cs1", At: noon, Expires: noon.Add(time.Minute),
		}}
		change(&l)
		return l
	}
	tests := map[string]struct {
		lane kefu.Lane
		want kefu.Verdict
	}{
		"expired": {
			lane(func(l *kefu.Lane) { l.Delivery.Expires = noon }),
			kefu.Verdict{Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerRefund, Reason: "expired"},
		},
		"expired without allowance": {
			lane(func(l *kefu.Lane) { l.Delivery.Expires, l.Allowed = noon, false }),
			kefu.Verdict{Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerSpent, Reason: "expired"},
		},
		"notice switched off": {
			lane(func(l *kefu.Lane) { l.Delivery.Notice = kefu.NoticeClosed }),
			kefu.Verdict{Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerRefund, Reason: "switched_off"},
		},
		"notice switched off, without allowance": {
			lane(func(l *kefu.Lane) { l.Delivery.Notice, l.Allowed = kefu.NoticeClosed, false }),
			kefu.Verdict{Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerSpent, Reason: "switched_off"},
		},
		"unknown app": {
			lane(func(l *kefu.Lane) { l.Delivery.To.App = "gone" }),
			kefu.Verdict{Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerRefund, Reason: "no_app"},
		},
		"text that cannot be made": {
			lane(func(l *kefu.Lane) { l.Delivery.Notice, l.Delivery.Position = kefu.NoticeWaiting, 100 }),
			kefu.Verdict{Outcome: kefu.OutcomeBuried, Ledger: kefu.LedgerRefund, Reason: "text"},
		},
		"no allowance and little time": {
			lane(func(l *kefu.Lane) { l.Delivery.Expires, l.Allowed = noon.Add(time.Second), false }),
			kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerSpent, Reason: "no_allowance", Due: noon.Add(time.Second)},
		},
		"words that no key opens": {
			lane(func(l *kefu.Lane) { l.Delivery.Words = kefu.Words{Unreadable: true} }),
			kefu.Verdict{Outcome: kefu.OutcomeBuried, Ledger: kefu.LedgerRefund, Reason: "unreadable"},
		},
		"late": {
			lane(func(l *kefu.Lane) { l.Lease = noon.Add(3 * time.Second) }),
			kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerRefund, Reason: "late", Due: noon},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &fakeSender{}
			got, _ := testOutbox(t, s).decide(t.Context(), tt.lane, true)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if len(s.sent()) != 0 {
				t.Errorf("sent %q", s.sent())
			}
		})
	}
}

func TestDecideRendersAsThingsAreNow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		agent kefu.AgentID
		entry kefu.EntryTag
		want  string
	}{
		"agent and entry":  {"wang", "cs1", "presale/Miss Wang/2"},
		"no agent":         {"", "cs1", "presale//2"},
		"agent has left":   {"li", "cs1", "presale//2"},
		"entry is no more": {"wang", "cs9", "/Miss Wang/2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &fakeSender{}
			lane := kefu.Lane{Allowed: true, Lease: noon.Add(9 * time.Second), Delivery: kefu.Delivery{
				To: kefu.CustomerID{App: "shop", User: "a"}, Notice: kefu.NoticeGreeting,
				Entry: tt.entry, Agent: tt.agent, Position: 2,
			}}
			if v, err := testOutbox(t, s).decide(t.Context(), lane, true); v.Outcome != kefu.OutcomeSent || err != nil {
				t.Fatalf("decide() = %+v, %v, want sent", v, err)
			}
			if diff := cmp.Diff([]string{tt.want}, s.sent()); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	type want struct {
		Outcome kefu.Outcome
		Ledger  kefu.Ledger
		Reason  string
	}
	minute := noon.Add(time.Minute)
	tests := map[string]struct {
		err      error
		attempts int
		expires  time.Time
		want     want
	}{
		"sent":                          {nil, 0, minute, want{kefu.OutcomeSent, kefu.LedgerSpent, ""}},
		"retryable":                     {faultError{retry: true, reason: "busy"}, 0, minute, want{kefu.OutcomeRetry, kefu.LedgerRefund, "busy"}},
		"retryable, wrapped":            {fmt.Errorf("x: %w", faultError{retry: true, reason: "busy"}), 0, minute, want{kefu.OutcomeRetry, kefu.LedgerRefund, "busy"}},
		"retryable, maybe sent":         {faultError{retry: true, maybe: true, reason: "timeout"}, 0, minute, want{kefu.OutcomeRetry, kefu.LedgerRefund, "timeout"}},
		"retryable, without expiry":     {faultError{retry: true, reason: "busy"}, 0, time.Time{}, want{kefu.OutcomeRetry, kefu.LedgerRefund, "busy"}},
		"says nothing":                  {errors.New("odd"), 0, minute, want{kefu.OutcomeRetry, kefu.LedgerRefund, "unknown"}},
		"allowance gone":                {faultError{gone: true, retry: true, reason: "x"}, 9, minute, want{kefu.OutcomeDropped, kefu.LedgerEmpty, "no_allowance"}},
		"last attempt but one":          {faultError{retry: true, reason: "busy"}, 3, minute, want{kefu.OutcomeRetry, kefu.LedgerRefund, "busy"}},
		"last attempt":                  {faultError{retry: true, reason: "busy"}, 4, minute, want{kefu.OutcomeBuried, kefu.LedgerRefund, "attempts"}},
		"last attempt, maybe sent":      {faultError{retry: true, maybe: true, reason: "busy"}, 4, minute, want{kefu.OutcomeBuried, kefu.LedgerSpent, "attempts"}},
		"expired while it was tried":    {faultError{retry: true, reason: "busy"}, 4, noon, want{kefu.OutcomeDropped, kefu.LedgerRefund, "expired"}},
		"would expire before the retry": {faultError{retry: true, reason: "busy", after: time.Minute}, 0, minute, want{kefu.OutcomeDropped, kefu.LedgerRefund, "expired"}},
		"not retryable":                 {faultError{reason: "unauthorized"}, 0, minute, want{kefu.OutcomeBuried, kefu.LedgerRefund, "unauthorized"}},
		"not retryable, no reason":      {faultError{}, 0, minute, want{kefu.OutcomeBuried, kefu.LedgerRefund, "unknown"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := kefu.Delivery{Attempts: tt.attempts, Expires: tt.expires}
			v := testOutbox(t, &fakeSender{}).judge(d, tt.err)
			if diff := cmp.Diff(tt.want, want{v.Outcome, v.Ledger, v.Reason}); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if late := v.Due.After(noon); (v.Outcome != kefu.OutcomeRetry) && late {
				t.Errorf("Due = %v for %v", v.Due, v.Outcome)
			}
		})
	}
}

func TestBackoffDelay(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	b := Backoff{}.orDefault()
	tests := map[string]struct {
		fails    int
		least    time.Duration
		from, to time.Duration
	}{
		"first":             {0, 0, 0, 200 * ms},
		"third":             {2, 0, 0, 800 * ms},
		"at the cap":        {8, 0, 0, 30 * time.Second},
		"far over it":       {10_000, 0, 0, 30 * time.Second},
		"as the API asks":   {0, time.Minute, time.Minute, time.Minute + 200*ms},
		"API asks for less": {20, ms, ms, 30 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var most time.Duration
			for range 2000 {
				d := b.delay(tt.fails, tt.least)
				if d < tt.from || d > tt.to {
					t.Fatalf("delay = %v, want %v to %v", d, tt.from, tt.to)
				}
				most = max(most, d)
			}
			if most < tt.from+(tt.to-tt.from)*9/10 {
				t.Errorf("2000 delays up to %v, want them spread up to %v", most, tt.to)
			}
		})
	}
}

// An answer is tried for a day, however often it has failed; all else is given up
// after so many attempts.
func TestJudgeInsists(t *testing.T) {
	t.Parallel()
	busy := faultError{retry: true, reason: "busy"}
	words := kefu.Words{Text: "x"}
	for name, tt := range map[string]struct {
		d    kefu.Delivery
		want kefu.Outcome
	}{
		"an answer":        {kefu.Delivery{Words: words, Attempts: 100, At: noon.Add(-24*time.Hour + time.Second)}, kefu.OutcomeRetry},
		"an old answer":    {kefu.Delivery{Words: words, Attempts: 100, At: noon.Add(-24 * time.Hour)}, kefu.OutcomeBuried},
		"a notice":         {kefu.Delivery{Notice: kefu.NoticeWaiting, Attempts: 4, At: noon}, kefu.OutcomeBuried},
		"lines to a chat":  {kefu.Delivery{Lines: []kefu.Line{{}}, Attempts: 4, At: noon}, kefu.OutcomeBuried},
		"an answer, early": {kefu.Delivery{Words: words, Attempts: 1, At: noon.Add(-48 * time.Hour)}, kefu.OutcomeRetry},
	} {
		if v := testOutbox(t, &fakeSender{}).judge(tt.d, busy); v.Outcome != tt.want {
			t.Errorf("%s: %+v, want %s", name, v, tt.want)
		}
	}
}

func TestJudgeKeepsTheErrcode(t *testing.T) {
	t.Parallel()
	if v := testOutbox(t, &fakeSender{}).judge(kefu.Delivery{}, fmt.Errorf("x: %w", codedError{faultError{reason: "unauthorized"}})); v.Code != 48001 {
		t.Errorf("%+v, want errcode 48001", v)
	}
	if v := testOutbox(t, &fakeSender{}).judge(kefu.Delivery{}, faultError{reason: "busy"}); v.Code != 0 {
		t.Errorf("%+v, want no errcode", v)
	}
}

type codedError struct{ faultError }

func (codedError) ErrCode() int { return 48001 }
