package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kefud/internal/soak"
)

// apart gives administration an address of its own, ADMIN.
func apart(config string) string {
	return strings.Replace(config, "admin: {token:", `admin: {listen: "${ADMIN:-}", token:`, 1)
}

// operators is where the server's administration is.
func (r *rig) operators() string {
	r.t.Helper()
	if r.config.Admin.Listen == "" {
		return r.url
	}
	return "http://" + r.log.served(r.t).Admin
}

// A service is what a server says of itself when it serves.
type service struct {
	Message string
	Admin   string `json:"admin_listen"`
}

// served waits until the server serves.
func (l *logbook) served(t *testing.T) service {
	t.Helper()
	var s service
	eventually(t, "the server serves", func() bool {
		for line := range strings.Lines(l.String()) {
			if json.Unmarshal([]byte(line), &s) == nil && s.Message == "serving" {
				return true
			}
		}
		return false
	})
	return s
}

// freePort is an address that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

// With an address of its own, administration is at no other, and nothing else
// is there.
func TestReliableAdminPort(t *testing.T) {
	t.Parallel()
	r := start(t, rigOptions{config: apart(smallConfig), env: map[string]string{"ADMIN": "127.0.0.1:0"}})
	c := r.somebody("shop")
	r.tap(c, "cs1")
	bearer := map[string]string{"Authorization": "Bearer " + adminToken}
	asked := 0
	for _, tt := range []struct {
		method, path          string
		everybody, ofOperator int
	}{
		{"GET", "/healthz", 200, 200},
		{"GET", "/readyz", 200, 200},
		{"HEAD", "/readyz", 200, 200},
		{"GET", "/metrics", 404, 200},
		{"GET", "/api/v1/agents", 404, 200},
		{"GET", "/api/v1/apps/shop/customers/" + c.OpenID() + "/decisions", 404, 200},
		{"GET", "/api/v1/apps/shop/customers/" + c.OpenID() + "/transcript", 404, 404},
		{"POST", "/api/v1/agents/wang/invitation", 404, 409},
		{"DELETE", "/api/v1/agents/wang/chat", 404, 404},
		{"DELETE", "/api/v1/apps/shop/customers/oNobody", 404, 204},
		{"PUT", "/api/v1/agents", 404, 405},
		{"GET", "/api/v1", 404, 404},
		{"GET", "/wechat/shop?" + signed("token-of-shop", time.Now()).Encode(), 200, 404},
		{"POST", "/wechat/shop", 403, 404},
		{"POST", "/api/getCustomerServiceUrl", 400, 404},
	} {
		for url, want := range map[string]int{r.url: tt.everybody, r.operators(): tt.ofOperator} {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, http.NoBody)
			must(t, err)
			for name, value := range bearer {
				req.Header.Set(name, value)
			}
			asked++
			if code, body := do(t, req); code != want {
				t.Errorf("%s %s of %s: %d %s, want %d", tt.method, tt.path, url, code, body, want)
			}
		}
	}
	for _, path := range []string{"/api/v1/agents", "/api/v1", "/api/v1/nothing"} {
		if code, _ := get(t, r.operators()+path, nil); code != http.StatusUnauthorized {
			t.Errorf("%s without the token: %d, want 401", path, code)
		}
		if code, body := get(t, r.url+path, nil); code != http.StatusNotFound || strings.Contains(body, "token") {
			t.Errorf("%s where administration is not: %d %s, want 404", path, code, body)
		}
	}
	if n := r.metric("kefud_callbacks_total", `kind="enter"`); n != 1 {
		t.Errorf("%v taps counted, want 1", n)
	}
	soak.Measured(t, "admin-port", "%d requests at two addresses, each answered at the right one alone", asked)
}

// What Go's HTTP server has to say of administration goes the log's way: on stderr
// itself it would wait for whoever reads that.
func TestAdminPortTellsTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{config: apart(smallConfig), env: map[string]string{"ADMIN": "127.0.0.1:0"}})
	to := r.server.admin.http.ErrorLog
	if to == nil {
		t.Fatal("it goes to stderr")
	}
	const said = "accept: too many open files"
	if to.Print(said); !strings.Contains(r.log.String(), said) {
		t.Errorf("%q is not in the log", said)
	}
}

// The commands that ask a server find its administration by the configuration,
// and the health check the server itself.
func TestReliableAdminPortIsFound(t *testing.T) {
	t.Parallel()
	listen, admin := freePort(t), freePort(t)
	path := file(t, "config.yaml", strings.Replace(apart(smallConfig), "listen: 127.0.0.1:0", "listen: "+listen, 1))
	t.Logf("at %s and %s", listen, admin)
	env := []string{"ADMIN=" + admin, "KEFUD_LISTEN=" + listen}
	server := launch(t, env, "serve", "--config", path)
	if got := server.serving(); got != "http://"+listen {
		t.Fatalf("serves at %s, want %s", got, listen)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"agents", "list", "--config", path}, exitDone, "wang"},
		{[]string{"explain", "--config", path, "--app", "shop", "--openid", "oNobody"}, exitFailed, "nothing is known"},
		{[]string{"export", "--config", path, "--app", "shop", "--openid", "oNobody"}, exitFailed, "no message"},
		{[]string{"forget", "--config", path, "--app", "shop", "--openid", "oNobody", "--yes"}, exitDone, ""},
		{[]string{"healthcheck"}, exitDone, ""},
		{[]string{"agents", "list", "--config", path, "--server", "http://" + listen}, exitFailed, "nothing at this path"},
	} {
		p := launch(t, env, tt.args...)
		if code := p.exit(patience); code != tt.code || !strings.Contains(p.log.String(), tt.want) {
			t.Errorf("kefud %v: exit code %d, want %d and %q in:\n%s", tt.args, code, tt.code, tt.want, p.log)
		}
	}
	server.signal(15)
	if code := server.exit(10 * time.Second); code != exitDone {
		t.Errorf("the server ended with exit code %d", code)
	}
}

// An address that is taken stops the start, and says which it is.
func TestAdminPortThatIsTaken(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() }) // it is closed once
	path := file(t, "config.yaml", apart(smallConfig))
	p := launch(t, []string{"ADMIN=" + l.Addr().String()}, "serve", "--config", path)
	want := fmt.Sprintf("listen on admin.listen %s", l.Addr())
	if code := p.exit(patience); code != exitFailed || !strings.Contains(p.log.String(), want) {
		t.Errorf("exit code %d, want %d and %q in:\n%s", code, exitFailed, want, p.log)
	}
}
