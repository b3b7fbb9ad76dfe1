package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"kefud/kefu"
)

// leastKept is the shortest time for which a transcript is worth keeping.
const leastKept = time.Hour

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
	k.texts(within(path, "texts"), a)
	k.transcript(within(path, "transcript"), a.Transcript)
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
		at := within(path, string(kind))
		k.add(at, k.template(at, err), "use text, {{.Agent}}, {{.Entry}}, {{.Position}} and {{if .Agent}}…{{else}}…{{end}}")
	}
}

// texts checks what a switchboard says to agents.
func (k *checker) texts(path string, a *App) {
	if len(a.Texts) > 0 && a.Role != RoleSwitchboard {
		k.add(path, "are what a switchboard says to agents", "write role: switchboard, or remove them; notices are what customers read")
		return
	}
	known := kefu.DefaultTexts()
	for _, kind := range slices.Sorted(maps.Keys(a.Texts)) {
		text := a.Texts[kind]
		at := within(path, string(kind))
		if _, ok := known[kind]; !ok {
			k.add(at, "is no text of a switchboard", "known here: "+textNames(known))
			continue
		}
		if strings.TrimSpace(text) == "" {
			k.add(at, "is empty", "write a text, or remove it to have the default")
			continue
		}
		if _, err := kefu.NewTexts(Texts{kind: text}); err != nil {
			k.add(at, k.template(at, err), "use text, "+textFields()+" and {{if .Agent}}…{{else}}…{{end}}")
		}
	}
}

// template tells what is wrong with a template. What came from the environment
// is not quoted.
func (k *checker) template(path string, err error) string {
	if _, outside := k.from[path]; outside {
		return "is no template"
	}
	return "is no template: " + err.Error()
}

func textNames(texts map[kefu.TextKind]string) string {
	all := make([]string, 0, len(texts))
	for _, kind := range slices.Sorted(maps.Keys(texts)) {
		all = append(all, string(kind))
	}
	return strings.Join(all, ", ")
}

// textFields lists what a switchboard's texts may use.
func textFields() string {
	var all []string
	for field := range reflect.TypeFor[kefu.TextData]().Fields() {
		all = append(all, "{{."+field.Name+"}}")
	}
	return strings.Join(all, ", ")
}

func (k *checker) transcript(path string, t Transcript) {
	if t.PreviousKey != "" {
		k.needed(within(path, "key"), string(t.Key), "write the present key; previous_key is only for the time of a change")
	}
	if keep := within(path, "keep"); t.Keep != 0 && t.Keep < leastKept {
		k.add(keep, k.show(keep, t.Keep)+" is too little", "write at least 1h, or 0 to keep nothing")
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
