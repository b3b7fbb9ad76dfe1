package main

import (
	"fmt"
	"time"

	"kefud/handler"
)

// ready tells whether the server should get traffic. Before the store has ever
// answered, another replica may do better; after that, a broken store is no
// reason to leave customers without an answer.
func (s *server) ready() handler.Readiness {
	parts := map[string]handler.Component{
		"store":    s.storeState(),
		"presence": s.presenceState(),
		"token":    s.tokenState(),
		"api":      s.apiState(),
		"outbox":   s.outboxState(),
	}
	r := handler.Readiness{Ready: true, Status: "ready", Components: parts}
	for _, p := range parts {
		if p.State == stateDegraded {
			r.Status = stateDegraded
		}
	}
	switch {
	case s.stopping.Load():
		r.Ready, r.Status = false, "stopping"
	case !s.reached.Load():
		r.Ready, r.Status = false, "starting"
	}
	return r
}

const (
	stateOK       = "ok"
	stateDegraded = "degraded"
	stateStarting = "starting"
	stateOff      = "off"
)

func (s *server) storeState() handler.Component {
	h := s.store.Health()
	if h.OK {
		s.reached.Store(true)
		return handler.Component{State: stateOK, Since: h.Since}
	}
	return broken(h.Since, h.Err)
}

func broken(since time.Time, err error) handler.Component {
	c := handler.Component{State: stateStarting, Since: since}
	if err != nil {
		c.State, c.Error = stateDegraded, err.Error()
	}
	return c
}

// presenceState is that of the app whose list is the worst.
func (s *server) presenceState() handler.Component {
	worst := handler.Component{State: stateOff}
	for app, st := range s.board.State() {
		c := handler.Component{State: stateOK, Since: st.At}
		if !st.Fresh {
			c = broken(st.At, st.Err)
		}
		if c.Error != "" {
			c.Error = fmt.Sprintf("%s: %s", app, c.Error)
		}
		if badness[c.State] > badness[worst.State] || c.State == worst.State && c.Since.Before(worst.Since) {
			worst = c
		}
	}
	return worst
}

var badness = map[string]int{stateOff: 0, stateOK: 1, stateStarting: 2, stateDegraded: 3}

// tokenState is that of the app whose token is the worst. Apps without a secret
// have none, and want none.
func (s *server) tokenState() handler.Component {
	worst := handler.Component{State: stateOff}
	for _, cred := range s.routing.Load().credentials() {
		st := s.client.TokenState(cred.App)
		if !st.HasSecret {
			continue
		}
		c := handler.Component{State: stateOK, Since: st.Fetched}
		if st.Err != nil || st.Fetched.IsZero() {
			c = broken(st.Fetched, st.Err)
		}
		if badness[c.State] > badness[worst.State] {
			worst = c
		}
	}
	return worst
}

// apiState is that of the app whose calls have been stopped for the longest.
func (s *server) apiState() handler.Component {
	worst := handler.Component{State: stateOff}
	for _, cred := range s.routing.Load().credentials() {
		if cred.Secret == "" {
			continue
		}
		c := handler.Component{State: stateOK}
		if stopped := s.client.Stopped(cred.App); len(stopped) > 0 {
			c = broken(stopped[0].Since, stopped[0].Err)
		}
		if badness[c.State] > badness[worst.State] || c.State == stateDegraded && c.Since.Before(worst.Since) {
			worst = c
		}
	}
	return worst
}

func (s *server) outboxState() handler.Component {
	st := s.outbox.State()
	if st.OK {
		return handler.Component{State: stateOK, Since: st.Since}
	}
	return broken(st.Since, st.Err)
}
