package relay

import (
	"slices"
	"strings"

	"kefud/kefu"
)

// knows reports whether a name is an agent's or a group's that a conversation of
// some app can be given to.
func (h *hearing) knows(name string) bool {
	table := h.Table()
	for i := range table.Apps {
		if len(h.targets(table.Apps[i].ID, name)) > 0 {
			return true
		}
	}
	return false
}

// targets finds the agents that a name means: an agent's id or name, or the name
// of a group, of those who stand on the ladders of the app; never the agent
// himself.
func (h *hearing) targets(app kefu.AppID, name string) []kefu.AgentID {
	if name == "" {
		return nil
	}
	var found []kefu.AgentID
	add := func(id kefu.AgentID) {
		if id != h.agent && !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	h.ladders(app, func(s kefu.Step) {
		if s.Group != "" && strings.EqualFold(s.Group, name) {
			for _, id := range s.Agents {
				add(id)
			}
			return
		}
		for _, id := range s.Agents {
			if strings.EqualFold(string(id), name) || h.name(id) == name {
				add(id)
			}
		}
	})
	return found
}

// ladders visits the steps of all entries of an app.
func (h *hearing) ladders(app kefu.AppID, visit func(kefu.Step)) {
	a := h.Table().App(app)
	if a == nil {
		return
	}
	for _, e := range a.Entries {
		for _, s := range e.Steps {
			visit(s)
		}
	}
}

// choice lists whom a conversation of an app can be given to.
func (h *hearing) choice(app kefu.AppID) string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	h.ladders(app, func(s kefu.Step) {
		if s.Group != "" {
			add(s.Group)
		}
		for _, id := range s.Agents {
			if id != h.agent {
				add(h.name(id))
			}
		}
	})
	return strings.Join(names, "、")
}

// called is how an agent is called whom another named by id or name; a group is
// called by its name.
func (h *hearing) called(name string) string {
	if a := h.Table().Agent(kefu.AgentID(strings.ToLower(name))); a != nil {
		return a.Name
	}
	return name
}
