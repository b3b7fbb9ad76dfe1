package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

const (
	defaultBaseURL = "https://api.weixin.qq.com"
	defaultTimeout = 2 * time.Second
)

// A Credential is what an app of config.yaml calls WeChat's API with. Printing
// one does not show the secret.
type Credential struct {
	App    kefu.AppID // as named in config.yaml
	AppID  string     // WeChat's own, wx…
	Secret string     `json:"-"` // "" = the API cannot be used for this app

	Official bool // an official account (公众号); else a mini-program
}

// String names the app only.
func (c Credential) String() string { return "credential of app " + string(c.App) }

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }

// ClientOptions say how to reach WeChat's API.
type ClientOptions struct {
	BaseURL    string        // http(s)://host[/path]; "" = https://api.weixin.qq.com
	Timeout    time.Duration // one HTTP exchange, pictures three times as long; 0 = 2 s
	Apps       []Credential
	Tokens     TokenCache   // shared by the replicas; nil = each process has its own tokens
	Media      MediaCache   // shared by the replicas; nil = each process remembers its own copies
	HTTP       *http.Client // nil = an own one; redirects are never followed
	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil = no metrics
	Now        func() time.Time      // nil = time.Now
}

// A Client calls WeChat's customer-service API for all apps. It is safe for
// concurrent use and owns no goroutine. What it returns as an error is an
// *APIError.
type Client struct {
	base    string
	timeout time.Duration
	http    *http.Client
	cache   TokenCache
	log     zerolog.Logger
	meter   *meter
	now     func() time.Time
	media   *mediaRecall
	copies  *copies

	mu       sync.RWMutex
	accounts map[kefu.AppID]*account
}

// An account is what the client keeps of one app: its credential, its token,
// and whether WeChat answers.
type account struct {
	cred     Credential
	breakers map[string]breaker // by operation: one that fails need not mean that others do
	gates    map[string]*gate   // by operation, too
	stops    *stops
	tokens   *keeper
}

// NewClient makes a client. It calls nobody yet. It returns an error for a
// base URL that is none and for metrics that are registered already.
func NewClient(o ClientOptions) (*Client, error) {
	base, err := cleanBase(o.BaseURL)
	if err != nil {
		return nil, err
	}
	m, err := newMeter(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics of the API client: %w", err)
	}
	c := &Client{
		base: base, timeout: o.Timeout, http: ownHTTP(o.HTTP),
		cache: o.Tokens, log: o.Logger, meter: m, now: o.Now, copies: newCopies(),
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	if o.Media == nil {
		o.Media = newMediaMemory(c.now)
	}
	c.media = &mediaRecall{cache: o.Media, now: c.now, log: o.Logger}
	c.SetApps(o.Apps)
	return c, nil
}

// SetApps replaces the apps, as after a reload of the configuration. An app
// whose credential is the same keeps its token; calls under way end with the
// credential they began with.
func (c *Client) SetApps(creds []Credential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	accounts := make(map[kefu.AppID]*account, len(creds))
	for _, cred := range creds {
		if a := c.accounts[cred.App]; a != nil && a.cred == cred {
			accounts[cred.App] = a
		}
	}
	for app, a := range c.accounts {
		if accounts[app] != a {
			a.stops.retire()
		}
	}
	for _, cred := range creds {
		if accounts[cred.App] == nil {
			accounts[cred.App] = c.newAccount(cred)
		}
	}
	c.accounts = accounts
}

func (c *Client) newAccount(cred Credential) *account {
	log := c.log.With().Str("app", string(cred.App)).Logger()
	a := &account{cred: cred, breakers: make(map[string]breaker), gates: make(map[string]*gate), stops: newStops(cred.App, c.meter.stopped)}
	for _, op := range operations() {
		log := log.With().Str("op", op).Logger()
		a.breakers[op] = newBreaker(log)
		a.gates[op] = &gate{app: cred.App, op: op, now: c.now, log: log, stops: a.stops, paced: op == opToken}
	}
	a.tokens = &keeper{
		cred: cred, cache: c.cache, now: c.now, log: log, looking: make(chan struct{}, 1),
		fetch: func(ctx context.Context) (kefu.Token, *APIError) { return c.fetchToken(ctx, a) },
		spare: func() { a.forgive(opToken) },
	}
	return a
}

func (c *Client) account(app kefu.AppID) *account {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.accounts[app]
}

func cleanBase(base string) (string, error) {
	if base == "" {
		return defaultBaseURL, nil
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		(u.Scheme != "http" && u.Scheme != "https") {
		return "", errors.New("base URL of WeChat's API is not of the form http(s)://host[/path]")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// ownHTTP gives the HTTP client to use. A redirect is an answer like any other
// and is not followed: the token stands in the URL and would go along.
func ownHTTP(given *http.Client) *http.Client {
	own := http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        64,
		MaxIdleConnsPerHost: 64,
		MaxConnsPerHost:     256,
		IdleConnTimeout:     time.Minute,
		TLSHandshakeTimeout: 5 * time.Second,
	}}
	if given != nil {
		own = *given
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}
