package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kefud/config"
	"kefud/handler"
	"kefud/kefu"
)

// adminTimeout is how long a command waits for Redis or a server.
const adminTimeout = 10 * time.Second

const serverHelp = "ask the administration of this server, such as http://127.0.0.1:8080, instead of Redis"

// An adminClient asks a running server's /api/v1.
type adminClient struct {
	server string // without a slash at its end
	token  string
}

// asksServer reports whether a server is to be asked, rather than Redis: it is
// named, or the store is embedded in it.
func asksServer(c *config.Config, server string) bool {
	return server != "" || len(c.Redis.Addrs) == 0
}

// newAdminClient asks the named server, or for "" the one of the configuration
// on this machine.
func newAdminClient(c *config.Config, server string) (*adminClient, error) {
	if server == "" {
		own, err := reachable(cmp.Or(c.Admin.Listen, c.Listen))
		if err != nil {
			return nil, err
		}
		server = own
	}
	if c.Admin.Token == "" {
		return nil, errors.New("admin.token is not set; the server answers nobody without one (set KEFUD_ADMIN_TOKEN for both)")
	}
	return &adminClient{server: strings.TrimSuffix(server, "/"), token: c.Admin.Token.Reveal()}, nil
}

// A refusal is a server's answer that something cannot be had.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string { return r.detail }

// ask sends a request and reads the answer into a value; nil for none. The parts
// of the path stand for themselves, whatever signs are in them.
func (a *adminClient) ask(ctx context.Context, answer any, method string, path ...string) error {
	escaped := make([]string, 0, len(path))
	for _, part := range path {
		escaped = append(escaped, url.PathEscape(part))
	}
	return a.askAt(ctx, answer, method, strings.Join(escaped, "/"))
}

// askAt is ask for what comes after /api/v1/ as it stands in an address.
func (a *adminClient) askAt(ctx context.Context, answer any, method, path string) error {
	req, err := http.NewRequestWithContext(ctx, method, a.server+"/api/v1/"+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: no address of a server", a.server)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // the address holds the openid
		}
		return fmt.Errorf("ask %s: %w", a.server, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	if resp.StatusCode/100 != 2 {
		return a.refused(resp)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("read what %s answers: %w", a.server, err)
	}
	return nil
}

func (a *adminClient) refused(resp *http.Response) error {
	var problem struct{ Detail string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&problem); err != nil || problem.Detail == "" {
		return fmt.Errorf("%s answers %s", a.server, resp.Status)
	}
	return &refusal{status: resp.StatusCode, detail: problem.Detail}
}

func (a *adminClient) history(ctx context.Context, id kefu.CustomerID) (handler.History, error) {
	var h handler.History
	err := a.ask(ctx, &h, http.MethodGet, "apps", string(id.App), "customers", id.User, "decisions")
	return h, err
}

func (a *adminClient) agents(ctx context.Context) ([]handler.Agent, error) {
	var all []handler.Agent
	err := a.ask(ctx, &all, http.MethodGet, "agents")
	return all, err
}

func (a *adminClient) invite(ctx context.Context, agent *kefu.Agent) (handler.Invitation, error) {
	var i handler.Invitation
	err := a.ask(ctx, &i, http.MethodPost, "agents", string(agent.ID), "invitation")
	return i, err
}

func (a *adminClient) unbind(ctx context.Context, agent kefu.AgentID) (bool, error) {
	err := a.ask(ctx, nil, http.MethodDelete, "agents", string(agent), "chat")
	return found(err)
}

func (a *adminClient) transcript(ctx context.Context, id kefu.CustomerID) ([]kefu.Saying, error) {
	var t handler.Transcript
	err := a.ask(ctx, &t, http.MethodGet, "apps", string(id.App), "customers", id.User, "transcript")
	return t.Messages, err
}

func (a *adminClient) forget(ctx context.Context, id kefu.CustomerID) error {
	return a.ask(ctx, nil, http.MethodDelete, "apps", string(id.App), "customers", id.User)
}

// found tells an answer that there is no such thing from a failure.
func found(err error) (bool, error) {
	if refused := (*refusal)(nil); errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}
