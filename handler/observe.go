package handler

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"kefud/internal/memo"
	"kefud/kefu"
)

// The keys of log lines.
const (
	keyApp          = "app"
	keyMessage      = "msg"
	keyKind         = "kind"
	keyConversation = "conversation"
	keyEntry        = "entry"
	keyAgent        = "agent"
	keyReason       = "reason"
	keyStep         = "step"
	keyReply        = "reply"
	keyCause        = "cause"
	keyTook         = "took_ms"
	keyStatus       = "status"
	keyMissed       = "since_last"
	keyFrom         = "from"
)

// replies name the ways in logs and metrics.
var replies = map[kefu.Way]string{
	kefu.WayNone: "success", kefu.WaySuccess: "success", kefu.WayRelay: "relay",
	kefu.WayNamed: "transfer_named", kefu.WayPlain: "transfer", kefu.WayText: "text",
}

type metrics struct {
	callbacks *prometheus.CounterVec
	decisions *prometheus.CounterVec
	degraded  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	strangers prometheus.Counter
	answered  memo.Memo[outcome, *tally]
}

// An outcome is what an answered push counts as; a tally is where, and what its log line begins
// with. To look them up in the vectors for every push would take longer than to count.
type (
	outcome struct {
		app    kefu.AppID
		kind   kefu.Kind
		way    kefu.Way
		reason kefu.Reason
	}
	tally struct {
		callbacks, decisions prometheus.Counter
		seconds              prometheus.Observer
		log                  zerolog.Logger // says what the outcome is
	}
)

func (h *handler) tally(o outcome) *tally {
	app, kind, reply, reason, m := string(o.app), o.kind.String(), replies[o.way], string(o.reason), h.metrics
	return &tally{
		m.callbacks.WithLabelValues(app, kind, reply), m.decisions.WithLabelValues(app, reason), m.seconds.WithLabelValues(app),
		h.Logger.With().Str(keyApp, app).Str(keyKind, kind).Str(keyReason, reason).Str(keyReply, reply).Logger(),
	}
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		callbacks: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_callbacks_total", Help: "Requests at /wechat/{app}, by kind of push and outcome.",
		}, []string{"app", "kind", "outcome"}),
		decisions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_decisions_total", Help: "Pushes answered, by the reason of the decision.",
		}, []string{"app", "reason"}),
		degraded: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_degraded_total", Help: "Pushes answered by the fallback because something was broken, by what.",
		}, []string{"app", "cause"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kefud_callback_seconds", Help: "Time to answer a push; WeChat hangs up at 5.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 4.5},
		}, []string{"app"}),
		strangers: f.NewCounter(prometheus.CounterOpts{
			Name: "kefud_admin_refused_total", Help: "Requests at /api/v1 with a wrong token or none.",
		}),
	}
}

// observe counts a callback and writes its one line.
func (h *handler) observe(m *kefu.Message, d *kefu.Decision, start, end time.Time) {
	took := end.Sub(start)
	t := h.metrics.answered.Get(outcome{m.Customer.App, m.Kind, d.Answer.Way, d.Reason}, h.tally)
	t.callbacks.Inc()
	t.decisions.Inc()
	t.seconds.Observe(took.Seconds())
	h.degraded.note(d, end)
	level := zerolog.InfoLevel
	if d.Degraded {
		level = zerolog.WarnLevel
		h.metrics.degraded.WithLabelValues(string(m.Customer.App), string(d.Cause)).Inc()
	}
	line := t.log.WithLevel(level)
	if d.Degraded {
		line.Str(keyCause, string(d.Cause))
	}
	line.Str(keyMessage, shortKey(m.Key)).Str(keyConversation, kefu.Shorten(m.Customer.User)).
		Str(keyEntry, string(d.Entry)).Str(keyAgent, string(d.Agent)).Int(keyStep, d.Step).
		Float64(keyTook, float64(took.Microseconds())/1e3).Msg("callback answered")
}

// shortKey keeps a log line short; WeChat's own ids fit.
func shortKey(key kefu.MessageKey) string {
	const most = 40
	if len(key) > most {
		return string(key[:most]) + "…"
	}
	return string(key)
}

// remindEvery is how often a trouble that goes on is logged again.
const remindEvery = 10 * time.Second

// degradation logs that answers degraded and that they recovered: at the change
// and then now and again, not once a callback. It keeps the error that each
// callback line leaves out.
type degradation struct {
	log    zerolog.Logger
	mu     sync.Mutex
	cause  kefu.Cause
	logged time.Time
	missed int
}

func (g *degradation) note(d *kefu.Decision, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !d.Degraded && g.cause != kefu.CauseNone && !d.Repeat && d.Reason != kefu.ReasonIgnored:
		g.log.Info().Str(keyCause, string(g.cause)).Msg("answers no longer degraded")
		g.cause = kefu.CauseNone
	case d.Degraded && (d.Cause != g.cause || now.Sub(g.logged) >= remindEvery):
		g.log.Warn().Str(keyCause, string(d.Cause)).Int(keyMissed, g.missed).Err(d.Err).Msg("answers degraded")
		g.cause, g.logged, g.missed = d.Cause, now, 0
	case d.Degraded:
		g.missed++
	}
}
