package config

import "kefud/kefu"

func (k *checker) app(path string, a *App) {
	if a.Encryption == EncryptionCompatible || a.Encryption == EncryptionSafe {
		k.needed(within(path, "app_id"), a.AppID, "write the app's wx… id: it is part of every encrypted push")
		k.needed(within(path, "encoding_aes_key"), string(a.EncodingAESKey), "write the EncodingAESKey of WeChat's console, or encryption: plain")
	}
	if a.Encryption == EncryptionPlain && a.EncodingAESKey != "" {
		k.needed(within(path, "app_id"), a.AppID, "write the app's wx… id, without which encoding_aes_key opens nothing")
	}
	if a.PreviousEncodingAESKey != "" {
		k.needed(within(path, "encoding_aes_key"), string(a.EncodingAESKey), "write the present EncodingAESKey; previous_encoding_aes_key is only for the time of a change")
	}
	k.notices(within(path, "notices"), a.Notices)
	if a.Role == RoleSwitchboard {
		k.switchboardOnly(path, a)
		return
	}
	k.entries(path, a)
}

func (k *checker) needed(path, value, right string) {
	if value == "" {
		k.add(path, "is missing", right)
	}
}

// switchboardOnly checks an app in which agents chat: no customer enters there.
func (k *checker) switchboardOnly(path string, a *App) {
	if a.Kind != KindOfficialAccount {
		k.add(within(path, "role"), "a mini-program cannot be a switchboard", "write kind: official_account, or role: customers")
	}
	if len(a.Entries) > 0 {
		k.add(within(path, "entries"), "a switchboard has no entries", "move them to an app with role: customers")
	}
	if a.DefaultEntry != "" {
		k.add(within(path, "default_entry"), "a switchboard has no entries", "remove it")
	}
}

func (k *checker) notices(path string, n Notices) {
	for kind, text := range n.texts() {
		_, err := kefu.NewNotices(map[kefu.NoticeKind]string{kind: text})
		if err == nil {
			continue
		}
		at, wrong := within(path, string(kind)), "is no template"
		if _, outside := k.from[at]; !outside {
			wrong += ": " + err.Error()
		}
		k.add(at, wrong, "use text, {{.Agent}}, {{.Entry}}, {{.Position}} and {{if .Agent}}…{{else}}…{{end}}")
	}
}

func (k *checker) entries(path string, a *App) {
	if len(a.Entries) == 0 {
		k.add(within(path, "entries"), "there is no entry", "add one, such as {tag: cs1, steps: [{agent: ID}]}")
		return
	}
	var tags names
	for i := range a.Entries {
		entry := item(within(path, "entries"), i)
		k.name(&tags, within(entry, "tag"), string(a.Entries[i].Tag))
		for j, step := range a.Entries[i].Steps {
			k.step(item(within(entry, "steps"), j), step)
		}
	}
	at := within(path, "default_entry")
	if a.DefaultEntry == "" {
		k.add(at, "is missing", "write "+tags.choice())
		return
	}
	k.exists(tags, at, string(a.DefaultEntry), "entry")
}

func (k *checker) step(path string, s Step) {
	switch {
	case s.Agent != "" && s.Group != "":
		k.add(path, "names an agent and a group", "make two steps of it")
	case s.Agent != "":
		k.exists(k.agents, within(path, "agent"), string(s.Agent), "agent")
	case s.Group != "":
		k.exists(k.groups, within(path, "group"), s.Group, "group")
	default:
		k.add(path, "names nobody", "write agent: ID or group: NAME")
	}
}
