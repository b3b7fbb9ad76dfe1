package presence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

// quiet is how long a failure that repeats itself goes without another line.
const quiet = 10 * time.Second

// A failure is what goes wrong with something that is done again and again.
type failure struct {
	err    error
	logged time.Time
}

// note takes the outcome of one attempt and logs it if it is news.
func (f *failure) note(err error, now time.Time, log zerolog.Logger, what string) {
	was := f.err
	f.err = err
	switch {
	case err == nil && was != nil:
		log.Info().Msg(what + " works again")
	case err != nil && (was == nil || now.Sub(f.logged) >= quiet):
		f.logged = now
		log.Warn().Err(err).Msg(what + " failed")
	}
}

// pollOne asks WeChat about one app whenever this replica leads.
func (b *Board) pollOne(ctx context.Context, app kefu.AppID) {
	leads := false
	defer func() {
		if leads {
			b.resign(ctx, app)
		}
	}()
	for {
		var err error
		leads, err = b.poll(ctx, app)
		if ctx.Err() != nil {
			return
		}
		b.noteAsking(app, leads, err)
		if !pause(ctx, jitter(b.of(app).Refresh)) {
			return
		}
	}
}

// poll gets a list, if this replica leads, uses it and shares it. It reports
// whether this replica led.
func (b *Board) poll(ctx context.Context, app kefu.AppID) (bool, error) {
	leads, leadErr := b.lead(ctx, app)
	if !leads {
		return false, leadErr
	}
	list, err := b.ask(ctx, app)
	if err != nil {
		return true, err
	}
	b.keepOwn(app, list)
	within, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	if err := b.store.PutList(within, app, list); err != nil {
		return true, fmt.Errorf("write online list of %s: %w", app, err)
	}
	return true, leadErr
}

// lead asks the store who leads. While the store does not say, whoever led
// goes on for himself: what he learns is no less true for not being shared.
func (b *Board) lead(ctx context.Context, app kefu.AppID) (bool, error) {
	within, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	leads, err := b.store.Lead(within, task(app), b.holder, b.of(app).lead())

	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.desk(app)
	if err != nil {
		return d.led, fmt.Errorf("lead presence of %s: %w", app, err)
	}
	d.led = leads
	return leads, nil
}

func task(app kefu.AppID) string { return "presence:" + string(app) }

// lead is how long a replica leads after it last asked: over a turn or two that
// went wrong, but not so long that the list grows old before another takes over.
func (s Settings) lead() time.Duration {
	return min(3*s.Refresh, max(s.StaleAfter-s.Refresh, s.Refresh+s.Refresh/2))
}

// resign gives the lead up, so that another replica need not wait for its end.
func (b *Board) resign(ctx context.Context, app kefu.AppID) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignWithin)
	defer cancel()
	// A lead that is not given up ends by itself.
	_, _ = b.store.Lead(within, task(app), b.holder, time.Millisecond)
}

// ask gets the list from WeChat. Its age counts from the question.
func (b *Board) ask(ctx context.Context, app kefu.AppID) (kefu.OnlineList, error) {
	ctx, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	at := b.now().UTC()
	list, err := b.lister.OnlineList(ctx, app)
	if !errors.Is(ctx.Err(), context.Canceled) {
		b.polls.WithLabelValues(string(app), outcome(err)).Inc()
	}
	if err != nil {
		return kefu.OnlineList{}, fmt.Errorf("get online list of %s: %w", app, err)
	}
	list.At = at
	return list, nil
}

// noteAsking keeps the outcome of a poll. Who does not lead has nothing to
// fail at, except asking for the lead.
func (b *Board) noteAsking(app kefu.AppID, leads bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.desk(app)
	if !leads && err == nil {
		d.asking.err = nil
		return
	}
	log := b.log.With().Str("app", string(app)).Logger()
	d.asking.note(err, b.now(), log, "presence poll")
}

// readLists reads what the leaders wrote.
func (b *Board) readLists(ctx context.Context) {
	for {
		apps, every := deskApps(b.table()), readEvery
		for _, app := range apps {
			every = min(every, b.of(app).Refresh)
		}
		err := errors.Join(b.readOnce(ctx, apps), b.readChats(ctx))
		if ctx.Err() != nil {
			return
		}
		b.mu.Lock()
		b.reading.note(err, b.now(), b.log, "presence read")
		b.mu.Unlock()
		if !pause(ctx, b.toBeat(every)) {
			return
		}
	}
}

func (b *Board) readOnce(ctx context.Context, apps []kefu.AppID) error {
	if len(apps) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	lists, err := b.store.Lists(ctx, apps)
	if err != nil {
		return fmt.Errorf("read online lists: %w", err)
	}
	b.keepStored(lists)
	return b.shareAgain(ctx, lists)
}

// shareAgain writes down what this replica has got while the store was away, so
// that the others need not wait for its next question.
func (b *Board) shareAgain(ctx context.Context, stored map[kefu.AppID]kefu.OnlineList) error {
	for app, list := range b.unshared(stored) {
		if err := b.store.PutList(ctx, app, list); err != nil {
			return fmt.Errorf("write online list of %s again: %w", app, err)
		}
	}
	return nil
}

// unshared gives the lists of this replica's own that are newer than the store's.
func (b *Board) unshared(stored map[kefu.AppID]kefu.OnlineList) map[kefu.AppID]kefu.OnlineList {
	b.mu.Lock()
	defer b.mu.Unlock()
	newer := map[kefu.AppID]kefu.OnlineList{}
	for app, d := range b.desks {
		if own := d.own.list; own.At.After(stored[app].At.Add(skew)) {
			newer[app] = own
		}
	}
	return newer
}
