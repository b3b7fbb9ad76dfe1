package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const hidden = "Hidd3nT3xt"

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Redis.Password, c.Admin.Token = hidden, hidden
	a := &c.Apps[0]
	a.AppSecret, a.Token, a.EncodingAESKey, a.PreviousEncodingAESKey = hidden, hidden, hidden, hidden
	a.Transcript.Key, a.Transcript.PreviousKey = hidden, hidden
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]string{"json": string(asJSON), "yaml": string(asYAML)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%20s"} {
		outputs["config "+verb] = fmt.Sprintf(verb, c)
		outputs["value "+verb] = fmt.Sprintf(verb, *c)
		outputs["app "+verb] = fmt.Sprintf(verb, c.Apps)
		outputs["secret "+verb] = fmt.Sprintf(verb, a.Token)
	}
	for name, got := range outputs {
		if strings.Contains(got, hidden) || strings.Contains(got, fmt.Sprintf("%x", hidden)) {
			t.Errorf("%s shows the secret", name)
		}
		if !strings.Contains(name, "config") && !strings.Contains(got, "redacted") {
			t.Errorf("%s: got %q, want the stand-in", name, got)
		}
	}
	if got := a.Token.Reveal(); got != hidden {
		t.Errorf("Reveal: got %q, want %q", got, hidden)
	}
	if got := fmt.Sprintf("%v%s", Secret(""), Secret("").String()); got != "" {
		t.Errorf("an empty secret: got %q, want nothing", got)
	}
}

// Whatever is wrong with a file, its secrets and what came from the environment
// are not quoted.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	env := environment(map[string]string{"S": hidden + " x"})
	for _, text := range []string{
		"admin: {token: '" + hidden + " x'}\n",
		"admin: {token: ${S}}\n",
		"redis: {password: [" + hidden + "]}\n",
		"redis: {db: ${S}}\n",
		"redis: {addrs: ${S}}\n",
		"redis: {key_prefix: ${S}}\n",
		"log: {level: ${S}}\n",
		"push_max_age: ${S}\n",
		"wechat: {api_base: 'https://user:" + hidden + "@host/?a=" + hidden + "'}\n",
		"redis: {password: '" + hidden + "\n",
		"redis: {password: " + hidden + ": x}\n",
		"redis:\n  password: " + hidden + ": x\n",
		"redis: {password: ${S:-" + hidden + "}\n",
		"redis: {password: \"${1:-" + hidden + "}\"}\n",
		"apps: [{name: shop, token: '" + strings.Repeat(hidden, 7) + "', encoding_aes_key: " + hidden + ", transcript: {key: " + hidden + "}}]\n",
		"apps: [{name: ${S}, token: t, default_entry: ${S}, notices: {closed: '{{${S}}}'}}]\n",
		"apps: [{name: b, kind: official_account, role: switchboard, token: t, texts: {help: '{{${S}}}', more: [${S}]}}]\n",
		"apps: [{name: b, token: t, texts: {help: ${S}}, transcript: {keep: ${S}, previous_key: ${S}}}]\n",
		"agents: [{id: ${S}, presence: ${S}, away_until: ${S}, relay: {app: ${S}}, desk: {app: ${S}}}]\n",
		"groups: [{name: g, agents: [${S}]}]\n",
	} {
		_, err := Parse("f.yaml", []byte(text), env)
		if err == nil {
			t.Errorf("%q: got no error", text)
			continue
		}
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("the secret is shown: %v", err)
		}
	}
}
