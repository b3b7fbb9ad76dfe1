package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kefud/kefu"
)

const (
	tagBytes  = 1000 // of a session-from; WeChat cuts there
	textBytes = 2048 // of a text

	useRelay = "bring customers to the agents' own WeChat: relay: {app: a switchboard}"
)

// checkEntries looks at an app's entries, and at what is said to its people.
func checkEntries(s *Setup, a *App) []Finding {
	t := about("app %s", a.Name)
	app := s.Table.App(a.Name)
	if app == nil {
		return nil
	}
	t.naming(s, a, app)
	for i := range app.Entries {
		entry := about("entry %s", app.Entries[i].Tag)
		entry.entry(s, app, &app.Entries[i])
		t.found = append(t.found, entry.found...)
	}
	t.texts(s, a, app)
	return t.found
}

// naming looks whether a customer can be brought to the one agent he asked for.
//
// WeChat, "转发消息",
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html,
// read 2026-11: a mini-program's transfer has four fields, and none names an agent.
func (t *topic) naming(s *Setup, a *App, app *kefu.App) {
	const id = "app.designated"
	if a.Switchboard || a.Official {
		return
	}
	if a.AlwaysNames {
		t.add(Warn, id, "transfer_to_agent: always in a mini-program: WeChat documents no such element there, and may ignore it or take the answer for a fault", "set transfer_to_agent: auto, and "+useRelay)
		return
	}
	var named []string
	for i := range app.Entries {
		for _, step := range app.Entries[i].Steps {
			for _, agentID := range step.Agents {
				if agent := s.Table.Agent(agentID); agent != nil && agent.Relay.App == "" && !slices.Contains(named, string(agentID)) {
					named = append(named, string(agentID))
				}
			}
		}
	}
	if len(named) > 0 {
		t.add(Warn, id, "a mini-program's transfer cannot name an agent: customers of "+strings.Join(named, ", ")+" get whoever is free at WeChat's desk", useRelay)
		return
	}
	t.ok(id, "every agent of its entries is reached by relay")
}

func (t *topic) entry(s *Setup, app *kefu.App, e *kefu.Entry) {
	if len(e.Tag) > tagBytes {
		t.add(Fail, "entry.tag", fmt.Sprintf("the tag has %d bytes, and WeChat cuts session-from at %d", len(e.Tag), tagBytes), "write a shorter one, here and in the button's session-from")
	}
	link := e.Link
	switch {
	case link == "":
	case strings.Contains(link, "://") || strings.HasPrefix(link, "//") || strings.ContainsAny(link, " \t\n#"):
		t.add(Warn, "entry.link", "the link is no path of a mini-program page", "write one such as /pages/service1?tag="+string(e.Tag))
	case !strings.HasPrefix(link, "/"):
		t.add(Warn, "entry.link", "the link has no / at its beginning: within a page it means another page than elsewhere", "write /"+link)
	}
	t.steps(s, app, e)
	if len(t.found) == 0 {
		t.ok("entry.steps", "every step (%d) can be reached", len(e.Steps))
	}
}

func (t *topic) steps(s *Setup, app *kefu.App, e *kefu.Entry) {
	if len(e.Steps) == 0 {
		t.add(Warn, "entry.steps", "it has no steps: its customers get whoever is free at WeChat's desk", "add steps: [{agent: …}]")
		return
	}
	taken := kefu.AgentID("")
	for i, step := range e.Steps {
		name := cmp.Or(step.Group, agentOf(step))
		if taken != "" {
			t.add(Warn, "entry.steps", fmt.Sprintf("step %d (%s) is never reached: %s before it always takes the customer (capacity 0, presence online)", i+1, name, taken),
				"give "+string(taken)+" a capacity, or presence: auto, or remove the step")
			return
		}
		able := 0
		for _, id := range step.Agents {
			agent := s.Table.Agent(id)
			if agent == nil || !reaches(app, agent) {
				continue
			}
			able++
			if agent.Capacity == 0 && agent.Manual.State == kefu.ManualOnline {
				taken = id
			}
		}
		if able == 0 {
			t.add(Warn, "entry.steps", fmt.Sprintf("step %d (%s) can never take a customer: the desk is at another app, and there is no relay", i+1, name),
				"give the agent a desk at "+string(app.ID)+", or relay: {app: a switchboard}, or remove the step")
		}
	}
}

func agentOf(step kefu.Step) string {
	if len(step.Agents) == 0 {
		return ""
	}
	return string(step.Agents[0])
}

// reaches reports whether customers of the app could be brought to the agent.
func reaches(app *kefu.App, agent *kefu.Agent) bool {
	return agent.Relay.App != "" || agent.Desk.App == app.ID || agent.Desk.App == "" && agent.Manual.State == kefu.ManualOnline
}

// texts looks at the length of what is sent.
//
// WeChat, "被动回复用户消息": a text has 2048 bytes at most.
func (t *topic) texts(s *Setup, a *App, app *kefu.App) {
	longest := kefu.NoticeData{Position: 1000}
	for i := range s.Table.Agents {
		if n := s.Table.Agents[i].Name; len(n) > len(longest.Agent) {
			longest.Agent = n
		}
	}
	for i := range app.Entries {
		if n := app.Entries[i].Name; len(n) > len(longest.Entry) {
			longest.Entry = n
		}
	}
	tooLong := func(key string, size int) {
		if size > textBytes {
			t.add(Fail, "app.texts", fmt.Sprintf("%s can have %d bytes; WeChat takes %d", key, size, textBytes), "shorten it")
		}
	}
	for _, kind := range []kefu.NoticeKind{kefu.NoticeGreeting, kefu.NoticeWaiting, kefu.NoticeReassigned, kefu.NoticeClosed} {
		text, err := app.Notices.Render(kind, longest)
		if err != nil {
			t.add(Fail, "app.texts", "notices."+string(kind)+" cannot be written: "+err.Error(), "mend the template")
		}
		tooLong("notices."+string(kind), len(text))
	}
	for _, kind := range slices.Sorted(maps.Keys(a.Texts)) {
		tooLong("texts."+kind, len(a.Texts[kind]))
	}
}

// checkGroups looks for groups that nobody needs.
func checkGroups(s *Setup) []Finding {
	t := about("groups")
	for _, group := range s.Groups {
		used := false
		for i := range s.Table.Apps {
			used = used || slices.ContainsFunc(s.Table.Apps[i].Entries, func(e kefu.Entry) bool { return e.AllowsGroup(group) })
		}
		if !used {
			t.add(Warn, "group.used", "no entry names the group "+group, "add {group: "+group+"} to an entry's steps, or remove it")
		}
	}
	return t.found
}
