package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// manifest is what the test reads of a Kubernetes manifest.
type manifest struct {
	Kind       string            `yaml:"kind"`
	Data       map[string]string `yaml:"data"`
	StringData map[string]string `yaml:"stringData"`
}

// manifests reads all documents of deploy/kubernetes, strictly: no key twice.
func manifests(t *testing.T) []manifest {
	t.Helper()
	files, err := filepath.Glob("../deploy/kubernetes/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []manifest
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var m manifest
			if err := yaml.Unmarshal([]byte(document), &m); err != nil || m.Kind == "" {
				t.Fatalf("%s: a document that is no manifest: %v", name, err)
			}
			all = append(all, m)
		}
	}
	return all
}

func only(t *testing.T, kind string) manifest {
	t.Helper()
	var found []manifest
	for _, m := range manifests(t) {
		if m.Kind == kind {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d manifests of kind %s", len(found), kind)
	}
	return found[0]
}

// The configuration in the manifests is right, with the secrets that its
// template names and no others; the template itself starts nothing.
func TestKubernetesConfigIsRight(t *testing.T) {
	t.Parallel()
	text := only(t, "ConfigMap").Data["config.yaml"]
	template := only(t, "Secret").StringData
	secrets := map[string]string{
		"SHOP_AES_KEY":         strings.Repeat("a", 43),
		"KEFUD_TRANSCRIPT_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	}
	lookup := func(name string) (string, bool) {
		if value, ok := secrets[name]; ok {
			return value, true
		}
		_, ok := template[name]
		return "a-secret-of-" + strings.ToLower(name), ok
	}
	c, err := Parse("config.yaml", []byte(text), lookup)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Redis.Addrs) == 0 || c.Redis.Password == "" || c.Admin.Token == "" || c.Apps[0].Encryption != EncryptionSafe {
		t.Errorf("not what production needs: %+v", c)
	}
	for name := range template {
		if !strings.Contains(text, "${"+name+"}") {
			t.Errorf("nothing in the configuration uses the secret %s", name)
		}
	}

	_, err = Parse("config.yaml", []byte(text), func(name string) (string, bool) { v, ok := template[name]; return v, ok })
	if wrong := (*Error)(nil); !errors.As(err, &wrong) {
		t.Errorf("the template's values were taken: %v", err)
	}
}

// Every variable that the Compose file hands to kefud is one that config.yaml
// reads, and the other way round: each has a place, but where it listens.
func TestComposeHandsOverWhatTheConfigReads(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile("../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	handed := compose.Services["kefud"].Environment
	read := map[string]bool{}
	for _, v := range regexp.MustCompile(`(?m)^[^#\n]*[^$#\n]\$\{([A-Z_]+)(:-[^}]*)?\}`).FindAllStringSubmatch(string(shipped), -1) {
		read[v[1]] = true
	}
	for name := range handed {
		if !read[name] {
			t.Errorf("compose.yaml sets %s, which config.yaml does not read", name)
		}
	}
	for name := range read {
		if handed[name] == "" && name != "KEFUD_LISTEN" && name != "KEFUD_WECHAT_API" {
			t.Errorf("config.yaml reads %s, which compose.yaml does not set", name)
		}
	}
}
