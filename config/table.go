package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"kefud/kefu"
)

func (a *App) routing(groups map[string][]kefu.AgentID) (kefu.App, error) {
	notices, err := kefu.NewNotices(a.Notices.texts())
	if err != nil {
		return kefu.App{}, err
	}
	texts, err := kefu.NewTexts(a.Texts)
	if err != nil {
		return kefu.App{}, err
	}
	mute := a.AppSecret == ""
	if mute {
		notices = kefu.Notices{} // nothing can be sent, so nothing is owed
	}
	official := a.Kind == KindOfficialAccount
	app := kefu.App{
		ID:          a.Name,
		Switchboard: a.Role == RoleSwitchboard,
		NamesAgents: a.TransferToAgent == TransferAlways || a.TransferToAgent == TransferAuto && official,
		Mute:        mute,
		Idle:        a.ConversationIdle,
		Allowance:   kefu.Allowance(a.Allowance),
		Notices:     notices,
		Texts:       texts,
		Transcript:  a.Transcript.kept(),
		Default:     a.DefaultEntry,
		Entries:     make([]kefu.Entry, 0, len(a.Entries)),
	}
	for i := range a.Entries {
		entry, err := a.Entries[i].routing(a.Sticky, groups)
		if err != nil {
			return kefu.App{}, fmt.Errorf("entry %q: %w", a.Entries[i].Tag, err)
		}
		app.Entries = append(app.Entries, entry)
	}
	return app, nil
}

func (e *Entry) routing(sticky time.Duration, groups map[string][]kefu.AgentID) (kefu.Entry, error) {
	if e.Sticky != nil {
		sticky = *e.Sticky
	}
	entry := kefu.Entry{
		Tag:           e.Tag,
		Name:          e.Name,
		Steps:         make([]kefu.Step, 0, len(e.Steps)),
		Sticky:        sticky,
		AnswerTimeout: e.AnswerTimeout,
		Link:          e.Link,
	}
	for _, s := range e.Steps {
		step := kefu.Step{Group: s.Group, Agents: []kefu.AgentID{s.Agent}, Wait: s.Wait}
		if s.Group != "" {
			members, ok := groups[s.Group]
			if !ok {
				return kefu.Entry{}, fmt.Errorf("no group %q", s.Group)
			}
			step.Agents = slices.Clone(members)
		}
		entry.Steps = append(entry.Steps, step)
	}
	return entry, nil
}

func (a *Agent) routing() kefu.Agent {
	return kefu.Agent{
		ID:       a.ID,
		Name:     cmp.Or(a.Name, string(a.ID)),
		Capacity: a.Capacity,
		Desk:     kefu.Desk{App: a.Desk.App, Account: a.Desk.Account, User: a.Desk.OpenID, ID: a.Desk.KfID},
		Relay:    kefu.Relay{App: a.Relay.App, User: a.Relay.OpenID},
		Manual:   kefu.Manual{State: a.manual(), Until: a.AwayUntil},
	}
}

func (a *Agent) manual() kefu.ManualState {
	switch a.Presence {
	case PresenceOnline:
		return kefu.ManualOnline
	case PresencePaused:
		return kefu.ManualPaused
	case PresenceAway:
		return kefu.ManualAway
	default:
		return kefu.ManualAuto
	}
}

// kept is for how long relayed messages are kept: without a key, not at all.
func (t Transcript) kept() time.Duration {
	if t.Key == "" {
		return 0
	}
	return t.Keep
}

func (n Notices) texts() map[kefu.NoticeKind]string {
	return map[kefu.NoticeKind]string{
		kefu.NoticeGreeting:   n.Greeting,
		kefu.NoticeWaiting:    n.Waiting,
		kefu.NoticeReassigned: n.Reassigned,
		kefu.NoticeClosed:     n.Closed,
	}
}
