package main

import (
	"context"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/config"
	"kefud/internal/simulator"
)

// shortestPrivate is how many bytes a text has to have to be looked for.
const shortestPrivate = 5

// discreet fails the test if what servers told of themselves during it holds a
// secret, what people wrote, or who they are. Every rig is asked at its end,
// whatever happened to it.
func (r *rig) discreet(urls []string, logs ...*logbook) {
	r.t.Helper()
	told, private := map[string]string{}, r.private()
	for _, l := range logs {
		told["log"] += l.String()
	}
	for _, url := range urls {
		for _, page := range []string{"/metrics", "/readyz"} {
			told[page] += look(r.t, url+page, "")
		}
		for _, c := range r.asked {
			told["explain"] += r.explained(url, c)
		}
	}
	for place, text := range told {
		for _, what := range indiscretions(text, private) {
			r.t.Errorf("%s has %s", place, what)
		}
	}
}

// explained is what a server tells of its decisions for a customer.
func (r *rig) explained(url string, c *simulator.Customer) string {
	r.t.Helper()
	return look(r.t, url+"/api/v1/apps/"+c.Account().Name()+"/customers/"+c.OpenID()+"/decisions", r.config.Admin.Token.Reveal())
}

// private lists what nobody may read in what a server tells of itself, with what
// it is.
func (r *rig) private() map[string]string {
	private := r.box.Private(shortestPrivate)
	maps.DeleteFunc(private, func(text, _ string) bool {
		return slices.Contains(commandWords, strings.ToLower(text)) // metrics name commands
	})
	for _, secret := range secretsOf(reflect.ValueOf(r.config)) {
		private[secret] = "a secret of the config"
	}
	return private
}

var commandWords = []string{"online", "offline", "history", "close", "transfer"}

// look reads a page of a server that may have ended, with a bearer token.
func look(t *testing.T, url, token string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(page)
}

// indiscretions lists what of the private texts is told, each with where.
func indiscretions(told string, private map[string]string) []string {
	var pairs []string
	for text := range private {
		pairs = append(pairs, text, "")
	}
	if strings.NewReplacer(pairs...).Replace(told) == told { // all at once: there may be thousands
		return nil
	}
	var found []string
	for text, what := range private {
		if i := strings.Index(told, text); i >= 0 {
			found = append(found, what+": "+told[max(0, i-200):min(len(told), i+200)])
		}
	}
	slices.Sort(found)
	return found[:min(len(found), 10)]
}

// secretsOf finds every secret in a configuration, wherever it stands.
func secretsOf(v reflect.Value) []string {
	var found []string
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			found = secretsOf(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				found = append(found, secretsOf(v.Field(i))...)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			found = append(found, secretsOf(v.Index(i))...)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			found = append(found, secretsOf(v.MapIndex(key))...)
		}
	default:
		if s, ok := reflect.TypeAssert[config.Secret](v); ok && len(s) >= shortestPrivate {
			found = append(found, s.Reveal())
		}
	}
	return found
}

// The check of every rig's end notices what it is there for.
func TestIndiscretionsAreNoticed(t *testing.T) {
	t.Parallel()
	r := start(t, rigOptions{config: smallConfig})
	c := r.somebody("shop")
	r.tap(c, "cs1")
	r.send(c.Text("Ein-geheimes-Wort"))
	r.send(c.Card("Eine-Karte", "/pages/geheim"))
	private := r.private()
	for _, text := range []string{
		c.OpenID(), "Ein-geheimes-Wort", "Eine-Karte", "/pages/geheim", r.accessToken("shop"),
		adminToken, "token-of-shop", "secret-of-shop",
	} {
		if got := indiscretions("a line with "+text+" in it", private); len(got) == 0 {
			t.Errorf("nobody notices %q", text)
		}
	}
	if got := r.explained(r.url, c); !strings.Contains(got, `"candidates"`) {
		t.Errorf("the decisions read %q", got)
	}
	if got := indiscretions(r.log.String(), private); len(got) > 0 {
		t.Errorf("the log has %q", got)
	}
}
