package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"kefud/config"
	"kefud/doctor"
	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
	"kefud/store"
)

// doctorConfig is a deployment in which nothing is wrong: a mini-program whose
// agent is relayed, an official account with a desk, and a switchboard.
const doctorConfig = `
listen: "${LISTEN:-127.0.0.1:1}"
redis: {addrs: "${ADDR:-}", username: "${REDIS_USER:-}", password: "${REDIS_PASSWORD:-}", key_prefix: e2e, partitions: "${PARTITIONS:-16}"}
wechat: {api_base: "${API}"}
admin: {listen: "${ADMIN_LISTEN:-}", token: "${ADMIN}"}
agents:
  - {id: wang, name: 王小姐, relay: {app: board}}
  - {id: li, name: 李先生, desk: {app: account, account: "${LI}"}}
apps:
  - name: shop
    app_id: wx00000000000000d1
    app_secret: ${SHOP_SECRET}
    original_id: gh_shop
    token: ${SHOP_TOKEN}
    encoding_aes_key: ${SHOP_KEY}
    encryption: ${SHOP_MODE:-safe}
    default_entry: cs1
    entries: [{tag: cs1, name: 售前, steps: [{agent: wang}], link: /pages/service1}]
  - name: account
    kind: official_account
    app_id: wx00000000000000d2
    app_secret: secret-of-account-0123
    original_id: gh_account
    token: token-of-account-4f9a
    encoding_aes_key: "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
    encryption: safe
    default_entry: cs2
    entries: [{tag: cs2, steps: [{agent: li}]}]
  - name: board
    kind: official_account
    role: switchboard
    app_id: wx00000000000000d3
    app_secret: secret-of-board-0123
    original_id: gh_board
    token: token-of-board-77c2e
    encoding_aes_key: "ABCDEFGabcdefghijklmnopqrstuvwxyz0123456789"
    encryption: safe
`

var update = flag.Bool("update", false, "write testdata anew")

const (
	shopKey       = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	shopKeyBefore = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
)

// A bed is where a deployment lies to be examined.
type bed struct {
	t     *testing.T
	env   map[string]string
	path  string
	box   *simulator.Box
	clock *clock
	shop  *simulator.Account
	taken *capture
}

// newBed makes a healthy deployment. Further arguments are redis-server's.
func newBed(t *testing.T, redisArgs ...string) (*bed, *redistest.Server) {
	t.Helper()
	redis := redistest.Start(t, append([]string{"--appendonly", "yes"}, redisArgs...)...)
	b := &bed{t: t, clock: &clock{}, path: file(t, "config.yaml", doctorConfig), taken: &capture{}}
	b.box = simulator.New(simulator.Options{Now: b.clock.now, Transport: b.taken})
	t.Cleanup(b.box.Close)
	api, err := b.box.Start(t.Context(), "")
	must(t, err)
	b.env = map[string]string{
		"API": api, "ADDR": redis.Addr, "ADMIN": "administrators-token-8d1f", "LI": "kf2002@gh_account",
		"SHOP_SECRET": "secret-of-shop-0123", "SHOP_TOKEN": "token-of-shop-31be5", "SHOP_KEY": shopKey,
	}
	c, err := config.Parse("doctor.yaml", []byte(doctorConfig), lookup(b.env))
	must(t, err)
	for i := range c.Apps {
		made, err := b.box.AddAccount(account(&c.Apps[i], "http://127.0.0.1:1"))
		must(t, err)
		switch c.Apps[i].Name {
		case "shop":
			b.shop = made
		case "account":
			_, err := made.AddAgent(simulator.AgentOptions{KfAccount: "kf2002@gh_account", KfID: 1002, KfOpenID: agentOpenid, Online: true})
			must(t, err)
		}
	}
	b.bind(redis, kefu.ChatOnline, time.Now().Add(time.Hour))
	return b, redis
}

// bind makes a chat Wang's.
func (b *bed) bind(redis *redistest.Server, state kefu.ChatState, until time.Time) {
	b.t.Helper()
	s, err := store.Open(b.t.Context(), store.Options{Addrs: []string{redis.Addr}, Prefix: "e2e", Timeout: patience, Logger: zerolog.Nop()})
	must(b.t, err)
	chat := kefu.Chat{Agent: "wang", ID: kefu.CustomerID{App: "board", User: agentOpenid}, State: state, Until: until}
	must(b.t, errors.Join(s.Announce(b.t.Context(), chat, true), s.Close()))
}

// doctor runs the command as a process, in the bed's environment with changes.
func (b *bed) doctor(change map[string]string, args ...string) ran {
	b.t.Helper()
	env := maps.Clone(b.env)
	maps.Copy(env, change)
	return doctorProcess(b.t, env, append([]string{"--config", b.path}, args...)...)
}

func doctorProcess(t *testing.T, env map[string]string, args ...string) ran {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe, append([]string{"doctor"}, args...)...)
	cmd.Env = append(os.Environ(), asKefud+"=1")
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	held, err := cmd.StdinPipe()
	must(t, err)
	defer func() { _ = held.Close() }() // the process has ended
	start := time.Now()
	if failed := (*exec.ExitError)(nil); !errors.As(cmd.Run(), &failed) && cmd.ProcessState == nil {
		t.Fatal("doctor did not run")
	}
	if took := time.Since(start); took > doctor.AllLimit+patience {
		t.Errorf("doctor took %s", took)
	}
	return ran{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// tells fails the test unless a line has the sign, the subject and the parts.
func (r ran) tells(t *testing.T, sign, subject string, parts ...string) {
	t.Helper()
	for line := range strings.Lines(r.stdout) {
		head := strings.Join(append([]string{sign}, strings.Fields(subject)...), " ")
		if !strings.HasPrefix(strings.Join(strings.Fields(line), " "), head+" ") {
			continue
		}
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return
		}
	}
	t.Errorf("no line with %s %s %q in:\n%s%s", sign, subject, parts, r.stdout, r.stderr)
}

// calm fails the test if anything but ok and "not checked" is said.
func (r ran) calm(t *testing.T) {
	t.Helper()
	if r.code != exitDone || r.stderr != "" || !strings.Contains(r.stdout, ", 0 warn, 0 FAIL, ") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// quiet fails the test if a secret or an openid is printed.
func (r ran) quiet(t *testing.T, b *bed) {
	t.Helper()
	secrets := []string{"secret-of", "token-of", agentOpenid, shopKey}
	for _, name := range []string{"ADMIN", "SHOP_SECRET", "SHOP_TOKEN"} {
		secrets = append(secrets, b.env[name])
	}
	for _, s := range secrets {
		if strings.Contains(r.stdout+r.stderr, s) {
			t.Errorf("%q is printed in:\n%s%s", s, r.stdout, r.stderr)
		}
	}
}

// A capture keeps what WeChat pushes, and answers in the server's place, unless
// it is to pass on.
type capture struct {
	pass atomic.Bool
	mu   sync.Mutex
	raw  []byte
}

// RoundTrip implements http.RoundTripper.
func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.pass.Load() {
		return http.DefaultTransport.RoundTrip(r)
	}
	raw, err := httputil.DumpRequestOut(r, true)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = raw
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("success")), Header: http.Header{}, Request: r}, nil
}

// push captures the push of a customer's message in a mode, and gives the file
// in which it stands.
func (b *bed) push(mode simulator.Mode) string {
	b.t.Helper()
	must(b.t, b.shop.SetMode(mode, shopKey))
	_, err := b.box.Customer(b.shop, customerOpenid).Say(b.t.Context(), "在吗")
	must(b.t, err)
	b.taken.mu.Lock()
	defer b.taken.mu.Unlock()
	return file(b.t, "push.txt", string(b.taken.raw))
}

func TestDoctorFindsNothingWrongWhereNothingIs(t *testing.T) {
	t.Parallel()
	b, redis := newBed(t)
	keys := redis.MustDo("DBSIZE")
	got := b.doctor(nil)
	got.calm(t)
	got.quiet(t, b)
	for _, line := range [][]string{
		{"ok", "config"},
		{"ok", "redis", "noeviction"},
		{"ok", "redis", "16 partitions"},
		{"ok", "clock", "WeChat's"},
		{"ok", "app shop", "app_id and app_secret are right"},
		{"ok", "agent wang", "online"},
		{"ok", "agent li", "online now"},
		{"-", "server", "no server answers"},
		{"-", "push", "--push"},
	} {
		got.tells(t, line[0], line[1], line[2:]...)
	}
	if now := redis.MustDo("DBSIZE"); now != keys {
		t.Errorf("%s keys, %s before", now, keys)
	}
	if n := b.box.Calls("/cgi-bin/message/custom/send"); len(n) > 0 {
		t.Errorf("messages were sent: %v", n)
	}
	if got := b.doctor(nil, "--push", b.push(simulator.Safe), "--app", "shop"); got.code != exitDone {
		t.Errorf("with a sample: exit code %d\n%s", got.code, got.stdout)
	} else {
		got.tells(t, "ok", "push", "app shop accepts it: 安全模式, JSON")
		got.calm(t)
	}
}

// Nothing is taken from a server that runs, and what it says of itself is told.
func TestDoctorLeavesARunningServerAlone(t *testing.T) {
	t.Parallel()
	b, _ := newBed(t)
	env := []string{"LISTEN=127.0.0.1:0"}
	for name, value := range b.env {
		env = append(env, name+"="+value)
	}
	address := launch(t, env, "serve", "--config", b.path).serving()
	eventually(t, "the server knows who is there", func() bool {
		code, _ := get(t, address+"/readyz", nil)
		return code == http.StatusOK && metric(t, address, "kefud_presence_online") >= 2
	})
	running := map[string]string{"LISTEN": strings.TrimPrefix(address, "http://")}
	got := b.doctor(running)
	got.calm(t)
	got.tells(t, "ok", "server", "a server runs and is ready")
	got.tells(t, "-", "app shop", "not checkable from here")
	// What has come to the server tells whether WeChat pushes to it.
	b.taken.pass.Store(true)
	must(t, b.shop.SetTargets(address+"/wechat/shop"))
	must(t, b.shop.SetMode(simulator.Safe, shopKeyBefore))
	say := func() {
		_, err := b.box.Customer(b.shop, customerOpenid).Say(t.Context(), "在吗")
		must(t, err)
	}
	say()
	b.doctor(running).tells(t, "warn", "app shop", "has refused all", "--push FILE")
	must(t, b.shop.SetMode(simulator.Safe, shopKey))
	say()
	b.doctor(running).tells(t, "ok", "app shop", "has answered 1 pushes")
	polled := b.box.Calls("/cgi-bin/customservice/getonlinekflist")[0]
	eventually(t, "the server polls again", func() bool {
		return b.box.Calls("/cgi-bin/customservice/getonlinekflist")[0] > polled
	})
	for _, path := range []string{"/cgi-bin/customservice/getonlinekflist", "/cgi-bin/stable_token"} {
		for code := range b.box.Calls(path) {
			if code != 0 {
				t.Errorf("%s was refused with %d", path, code)
			}
		}
	}
}

// What has come to a server is found where its administration is.
func TestDoctorAsksAdministrationWhereItIs(t *testing.T) {
	t.Parallel()
	b, _ := newBed(t)
	b.env["ADMIN_LISTEN"] = freePort(t)
	env := []string{"LISTEN=127.0.0.1:0"}
	for name, value := range b.env {
		env = append(env, name+"="+value)
	}
	address := launch(t, env, "serve", "--config", b.path).serving()
	b.taken.pass.Store(true)
	must(t, b.shop.SetTargets(address+"/wechat/shop"))
	must(t, b.shop.SetMode(simulator.Safe, shopKey))
	_, err := b.box.Customer(b.shop, customerOpenid).Say(t.Context(), "在吗")
	must(t, err)
	got := b.doctor(map[string]string{"LISTEN": strings.TrimPrefix(address, "http://")})
	got.tells(t, "ok", "app shop", "has answered 1 pushes")
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	b, redis := newBed(t)
	far := newLag(t, redis.Addr)
	late := func(d time.Duration) func() func() {
		return func() func() { far.delay.Store(int64(d)); return func() { far.delay.Store(0) } }
	}
	breaks := func(broken simulator.APIBreak) func() func() {
		return func() func() { return b.box.BreakAPI(broken) }
	}
	for _, tt := range []struct {
		name          string
		env           map[string]string
		make          func() func() // makes the fault, and gives what undoes it
		sign, subject string
		parts         []string
	}{
		{"a wrong secret", map[string]string{"SHOP_SECRET": "another-secret-0123"}, nil, "FAIL", "app shop", []string{"40125", "reset it in", "「开发设置」"}},
		{
			"an address that is not listed", nil,
			breaks(simulator.APIBreak{Path: "/cgi-bin/stable_token", Account: b.shop, ErrCode: 40164, ErrMsg: "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"}),
			"FAIL", "app shop",
			[]string{"40164", "add 203.0.113.7 to", "「IP白名单」"},
		},
		{
			"no permission", nil, breaks(simulator.APIBreak{Path: "/cgi-bin/customservice/getonlinekflist", ErrCode: 48001}),
			"FAIL", "app board",
			[]string{"48001", "微信认证"},
		},
		{
			"WeChat is broken", nil, breaks(simulator.APIBreak{Path: "/cgi-bin/stable_token", Status: 502}),
			"FAIL", "app account",
			[]string{"does not answer properly", "http_status"},
		},
		{
			"WeChat does not answer", nil, breaks(simulator.APIBreak{Latency: time.Minute}),
			"-", "clock",
			[]string{"WeChat's API is not reached"},
		},
		{"a wrong agent", map[string]string{"LI": "kf9999@gh_account"}, nil, "FAIL", "agent li", []string{"account kf2002@gh_account = kf_id 1002", "oWAN…hijk"}},
		{"other partitions", map[string]string{"PARTITIONS": "8"}, nil, "FAIL", "redis", []string{"over 16 partitions", "redis.partitions: 16"}},
		{
			"a clock that is off", nil,
			func() func() { b.clock.advance(6 * time.Minute); return func() { b.clock.advance(-6 * time.Minute) } },
			"FAIL", "clock",
			[]string{"ahead of ours", "push_max_age", "timedatectl"},
		},
		{
			"an unbound chat", nil, func() func() {
				redis.MustDo("HDEL", "e2e:{agents}:chats", "wang")
				return func() { b.bind(redis, kefu.ChatOnline, time.Now().Add(time.Hour)) }
			},
			"FAIL", "agent wang",
			[]string{"kefud agents invite wang"},
		},
		{
			"a window that is over", nil, func() func() {
				b.bind(redis, kefu.ChatOnline, time.Now().Add(-time.Minute))
				return func() { b.bind(redis, kefu.ChatOnline, time.Now().Add(time.Hour)) }
			},
			"warn", "agent wang",
			[]string{"window is over", "上线"},
		},
		{"secrets for everybody", nil, func() func() {
			must(t, os.Chmod(b.path, 0o644))
			return func() { must(t, os.Chmod(b.path, 0o600)) }
		}, "FAIL", "config", []string{"account.app_secret", "chmod 600"}},
		{"an evicting Redis", nil, func() func() {
			redis.MustDo("CONFIG", "SET", "maxmemory", "1gb")
			redis.MustDo("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
			return func() {
				redis.MustDo("CONFIG", "SET", "maxmemory", "0")
				redis.MustDo("CONFIG", "SET", "maxmemory-policy", "noeviction")
			}
		}, "FAIL", "redis", []string{"allkeys-lru", "maxmemory-policy noeviction"}},
		{"a user who may not do everything", map[string]string{"REDIS_USER": "half", "REDIS_PASSWORD": "half-a-password"}, func() func() {
			redis.MustDo("ACL", "SETUSER", "half", "reset", "on", ">half-a-password", "~e2e:*", "+@all", "-zadd")
			return func() { redis.MustDo("ACL", "DELUSER", "half") }
		}, "FAIL", "redis", []string{"ZADD (no permission)", "ACL SETUSER"}},
		{"a wrong password", map[string]string{"REDIS_USER": "nosuch", "REDIS_PASSWORD": "what-password"}, nil, "FAIL", "redis", []string{"KEFUD_REDIS_PASSWORD"}},
		{"no Redis", map[string]string{"ADDR": "127.0.0.1:1"}, nil, "FAIL", "redis", []string{"connection refused", "redis-cli"}},
		{"a Redis that hangs", nil, func() func() { redis.Pause(); return redis.Resume }, "FAIL", "redis", []string{"no answer within", "redis-cli"}},
		{"a Redis far away", map[string]string{"ADDR": far.addr}, late(100 * time.Millisecond), "warn", "redis", []string{"a round trip takes 1", "nearer"}},
		{"a Redis too far away", map[string]string{"ADDR": far.addr}, late(1200 * time.Millisecond), "FAIL", "redis", []string{"too slow", "redis-cli"}},
		{"the embedded store", map[string]string{"ADDR": ""}, nil, "warn", "redis", []string{"ends with it", "KEFUD_REDIS_ADDRS"}},
		{"a weak token", map[string]string{"SHOP_TOKEN": "demo-token"}, nil, "warn", "app shop", []string{"the demo's"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.make != nil {
				defer tt.make()()
			}
			got := b.doctor(tt.env)
			got.tells(t, tt.sign, tt.subject, tt.parts...)
			got.quiet(t, b)
			if want := map[string]int{"FAIL": exitFailed}[tt.sign]; got.code != want && tt.sign != "-" {
				t.Errorf("exit code %d, want %d:\n%s%s", got.code, want, got.stdout, got.stderr)
			}
		})
	}
	b.doctor(nil).calm(t) // every fault was undone, so that each was found for itself
}

func TestDoctorJudgesACapturedPush(t *testing.T) {
	t.Parallel()
	b, _ := newBed(t)
	plain := map[string]string{"SHOP_MODE": "plain", "SHOP_KEY": ""}
	for _, tt := range []struct {
		name  string
		mode  simulator.Mode
		env   map[string]string
		app   string
		code  int
		sign  string
		parts []string
	}{
		{"plain, safe configured", simulator.Plain, nil, "shop", exitFailed, "FAIL", []string{"明文模式, the configuration says encryption: safe", "choose 安全模式"}},
		{"safe, plain configured", simulator.Safe, plain, "shop", exitFailed, "FAIL", []string{"安全模式, the configuration says encryption: plain", "set encryption: safe and encoding_aes_key"}},
		{"compatible, safe configured", simulator.Compatible, nil, "", exitDone, "warn", []string{"兼容模式"}},
		{"another key", simulator.Safe, map[string]string{"SHOP_KEY": shopKeyBefore}, "shop", exitFailed, "FAIL", []string{"cannot be opened", "EncodingAESKey"}},
		{"another token", simulator.Safe, map[string]string{"SHOP_TOKEN": "token-of-nobody-12ab"}, "shop", exitFailed, "FAIL", []string{"403", "copy Token"}},
		{"another app", simulator.Safe, nil, "account", exitFailed, "FAIL", []string{"token of app shop"}},
	} {
		got := b.doctor(tt.env, append([]string{"--push", b.push(tt.mode)}, when(tt.app != "", "--app", tt.app)...)...)
		got.tells(t, tt.sign, "push", tt.parts...)
		got.quiet(t, b)
		if got.code != tt.code || strings.Contains(got.stdout, customerOpenid) || strings.Contains(got.stdout, "在吗") {
			t.Errorf("%s: exit code %d, want %d:\n%s", tt.name, got.code, tt.code, got.stdout)
		}
	}
}

func when(holds bool, args ...string) []string {
	if holds {
		return args
	}
	return nil
}

func TestDoctorForMachines(t *testing.T) {
	t.Parallel()
	b, _ := newBed(t)
	type report struct {
		Worst    string
		Counts   map[string]int
		Findings []struct{ ID, Subject, Level, Text, Do string }
	}
	read := func(r ran) report {
		var out report
		if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
			t.Fatalf("%v in:\n%s%s", err, r.stdout, r.stderr)
		}
		return out
	}
	got := b.doctor(map[string]string{"SHOP_SECRET": "another-secret-0123"}, "--json")
	out := read(got)
	if got.code != exitFailed || out.Worst != "FAIL" || out.Counts["FAIL"] != 1 || out.Counts["ok"] < 20 {
		t.Errorf("exit code %d, %s, %v", got.code, out.Worst, out.Counts)
	}
	at := slices.IndexFunc(out.Findings, func(f struct{ ID, Subject, Level, Text, Do string }) bool { return f.Level == "FAIL" })
	if at < 0 || out.Findings[at].ID != "app.token_api" || out.Findings[at].Subject != "app shop" || out.Findings[at].Do == "" {
		t.Errorf("%+v", out.Findings)
	}
	// A configuration with errors is refused as by serve; machines have it on stdout, too.
	got = b.doctor(map[string]string{"SHOP_MODE": "secret"}, "--json")
	out = read(got)
	if got.code != exitUsage || len(out.Findings) != 1 || out.Findings[0].ID != "config.problem" || !strings.Contains(out.Findings[0].Text, "apps[0].encryption") ||
		!strings.Contains(out.Findings[0].Do, "plain, compatible, safe") || !strings.Contains(got.stderr, "apps[0].encryption") {
		t.Errorf("exit code %d: %+v\n%s", got.code, out, got.stderr)
	}
}

func TestDoctorRefusesWrongUsage(t *testing.T) {
	t.Parallel()
	good := file(t, "config.yaml", smallConfig)
	bad := file(t, "bad.yaml", strings.Replace(smallConfig, "default_entry: cs1", "default_entry: cs9", 1))
	for _, tt := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"--config", "/does/not/exist.yaml"}, "/does/not/exist.yaml"},
		{[]string{"--config", bad}, "bad.yaml:"},
		{[]string{"--config", good, "--app", "shop"}, "--push"},
		{[]string{"--config", good, "--push", good, "--app", "nosuch"}, `no app "nosuch"`},
		{[]string{"--config", good, "--push", "/does/not/exist.txt"}, "--push"},
		{[]string{"--config", good, "more"}, "more"},
	} {
		got := kefud(t.Context(), append([]string{"doctor"}, tt.args...)...)
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, tt.stderr) {
			t.Errorf("%v: exit code %d\n%s%s", tt.args, got.code, got.stdout, got.stderr)
		}
	}
}

// What ships runs as it is, so that doctor has no FAIL for it.
func TestDoctorLetsWhatShipsPass(t *testing.T) {
	t.Parallel()
	shipped, err := filepath.Abs("../../config.yaml")
	must(t, err)
	got := doctorProcess(t, map[string]string{"KEFUD_WECHAT_API": "http://127.0.0.1:1", "KEFUD_LISTEN": "127.0.0.1:1"}, "--config", shipped)
	if got.code != exitDone || strings.Contains(got.stdout, "FAIL ") {
		t.Errorf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
	}
	got.tells(t, "warn", "redis", "there is no Redis")
	got.tells(t, "warn", "app shop", "the demo's")
}

// A sample may come by the standard input, in which the app may be named, and
// may be none.
func TestDoctorReadsASample(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("test.yaml", []byte(switchboardConfig), lookup(nil))
	must(t, err)
	r, err := newRouting(c, time.Now)
	must(t, err)
	for _, tt := range []struct {
		text, app string
		want      doctor.Push
	}{
		{"/wechat/board?signature=x\n<xml/>", "", doctor.Push{App: "board", Format: "XML"}},
		{"/wechat/board?signature=x\n<xml/>", "shop", doctor.Push{App: "shop", Format: "XML"}},
		{"/callback?signature=x\n{}", "", doctor.Push{}},
		{"hello", "", doctor.Push{Unread: "it has no URL with a query that holds signature="}},
	} {
		f := doctorFlags{push: "-", app: tt.app}
		got, err := f.sample(r, strings.NewReader(tt.text))
		if err != nil || got == nil {
			t.Fatalf("%q: %v", tt.text, err)
		}
		if diff := cmp.Diff(tt.want, *got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.text, diff)
		}
	}
}

// What a report looks like, but for what differs each time.
func TestDoctorsReport(t *testing.T) {
	t.Parallel()
	b, _ := newBed(t)
	got := b.doctor(map[string]string{"SHOP_SECRET": "another-secret-0123", "LI": "kf9999@gh_account"}, "--push", b.push(simulator.Plain), "--app", "shop")
	text := strings.ReplaceAll(got.stdout, b.path, "config.yaml")
	for pattern, stand := range map[string]string{
		`a round trip takes \S+`:                  "a round trip takes 100µs",
		`clock is \S+ (ahead of|behind) ours`:     "clock is 100ms ahead of ours",
		`token has \S+ left`:                      "token has 2h0m0s left",
		`\d+ MiB in use`:                          "1 MiB in use",
		`version \d\S*`:                           "version 7.0.15",
		`until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d`:    "until 2026-11-24 12:00:00",
		`at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d`:       "at 2026-11-24 12:00:00",
		`\(http://127\.0\.0\.1:1: .*?refused\) →`: "(http://127.0.0.1:1: connection refused) →",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, stand)
	}
	golden := filepath.Join("testdata", "doctor.txt")
	if *update {
		must(t, os.WriteFile(golden, []byte(text), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", golden, diff)
	}
}
