package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

// How often the addresses are fetched. WeChat asks for once a day; a list that
// could not be renewed for days may lack what has been added since.
const (
	callersEvery  = 24 * time.Hour
	callersRetry  = time.Minute // after a failure, doubled with each
	callersWithin = 10 * time.Second
	callersStale  = 4 * callersEvery
	callersRemind = time.Hour // a failure that goes on is logged again
)

// A CallerSource tells from which addresses WeChat pushes to an app.
type CallerSource interface {
	CallbackAddresses(ctx context.Context, app kefu.AppID) ([]netip.Prefix, error)
}

// CallersOptions are what NewCallers needs.
type CallersOptions struct {
	Source     CallerSource
	Apps       func() []kefu.AppID // those that may be asked about, as they are now
	Logger     zerolog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // nil = time.Now
}

// Callers know from which addresses WeChat pushes: from those that it names for
// any of the apps. As long as that is not known, or has not been for days,
// everybody is let in: a signature has to hold anyhow, and refusing WeChat would
// leave customers without an answer. Safe for concurrent use.
type Callers struct {
	CallersOptions
	known   atomic.Pointer[callerList] // nil = nobody has told yet
	size    prometheus.Gauge
	open    bool // everybody is let in; of Run alone, like what follows
	failing error
	logged  time.Time
	byApp   map[kefu.AppID]callerList
}

// A callerList is addresses, as of when WeChat named them.
type callerList struct {
	ranges []netip.Prefix
	at     time.Time
}

// NewCallers knows nothing before Run. It panics if the Registerer has its
// metric already.
func NewCallers(o CallersOptions) *Callers {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Callers{
		CallersOptions: o, byApp: map[kefu.AppID]callerList{},
		size: promauto.With(o.Registerer).NewGauge(prometheus.GaugeOpts{
			Name: "kefud_callback_addresses",
			Help: "Addresses and ranges from which pushes are let in; 0 means from everywhere, because WeChat has not said.",
		}),
	}
}

// Allows reports whether WeChat pushes from the address, as far as is known.
func (c *Callers) Allows(a netip.Addr) bool {
	known := c.known.Load()
	if known == nil || c.Now().Sub(known.at) > callersStale {
		return true
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(known.ranges, func(r netip.Prefix) bool { return r.Contains(a) })
}

// Run keeps the addresses fresh until ctx ends, and then returns nil. It is
// called once.
func (c *Callers) Run(ctx context.Context) error {
	retry := callersRetry
	for {
		err := c.fetch(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c.note(err)
		next := callersEvery
		if err != nil {
			next, retry = retry, min(2*retry, callersEvery/4)
		} else {
			retry = callersRetry
		}
		timer := time.NewTimer(next*9/10 + jitter(next/5))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// fetch asks about all apps at once. What is known of one that does not answer
// stays; what is known of one that is gone does not.
func (c *Callers) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callersWithin)
	defer cancel()
	apps := c.Apps()
	lists := make([]callerList, len(apps))
	errs := make([]error, len(apps))
	var asking sync.WaitGroup
	for i, app := range apps {
		asking.Go(func() {
			ranges, err := c.Source.CallbackAddresses(ctx, app)
			if err != nil {
				errs[i] = fmt.Errorf("get callback addresses of %s: %w", app, err)
				return
			}
			lists[i] = callerList{ranges: ranges, at: c.Now()}
		})
	}
	asking.Wait()
	was := c.byApp
	c.byApp = make(map[kefu.AppID]callerList, len(apps))
	for i, app := range apps {
		if errs[i] != nil {
			lists[i] = was[app]
		}
		if !lists[i].at.IsZero() {
			c.byApp[app] = lists[i]
		}
	}
	c.unite()
	if len(apps) == 0 {
		return errors.New("no app has an app_secret to ask with")
	}
	return errors.Join(errs...)
}

// unite puts the lists of all apps together; the whole is as fresh as the
// freshest of them, since WeChat's servers are the same for all.
func (c *Callers) unite() {
	var all callerList
	for _, l := range c.byApp {
		all.ranges = append(all.ranges, l.ranges...)
		if l.at.After(all.at) {
			all.at = l.at
		}
	}
	slices.SortFunc(all.ranges, netip.Prefix.Compare)
	all.ranges = slices.Compact(all.ranges)
	if len(all.ranges) == 0 {
		c.known.Store(nil)
		return
	}
	c.known.Store(&all)
}

// note tells the log and the metric what has changed.
func (c *Callers) note(err error) {
	now := c.Now()
	known := c.known.Load()
	open := known == nil || now.Sub(known.at) > callersStale
	c.size.Set(0)
	if !open {
		c.size.Set(float64(len(known.ranges)))
	}
	news := c.logged.IsZero() || open != c.open || (err == nil) != (c.failing == nil)
	c.open, c.failing = open, err
	if !news && (err == nil || now.Sub(c.logged) < callersRemind) {
		return
	}
	c.logged = now
	switch {
	case open:
		c.Logger.Warn().Err(err).Msg("WeChat's addresses are not known: pushes are let in from everywhere")
	case err != nil:
		c.Logger.Warn().Err(err).Msg("WeChat's addresses not renewed; those known before stay")
	default:
		c.Logger.Info().Int("ranges", len(known.ranges)).Msg("pushes are let in from WeChat's addresses alone")
	}
}
