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
	"regexp"
	"slices"
	"strconv"

	"kefud/doctor"
	"kefud/handler"
	"kefud/kefu"
)

// A serverObserver asks the server that listens where the configuration says.
type serverObserver struct {
	listen string
	admin  string // where /metrics is; "" = there, too
}

// Ready implements doctor.Server.
func (s serverObserver) Ready(ctx context.Context) (doctor.Readiness, error) {
	var out doctor.Readiness
	address, err := reachable(s.listen)
	if err != nil {
		return out, err
	}
	status, page, err := fetch(ctx, address+"/readyz")
	if err != nil {
		return out, fmt.Errorf("%s: %w", address, err)
	}
	var said handler.Readiness
	if err := json.Unmarshal(page, &said); err != nil || said.Status == "" {
		return out, fmt.Errorf("what answers at %s is no kefud", address)
	}
	out.Ready, out.Status = status == http.StatusOK, said.Status
	for name, part := range said.Components {
		if part.Error != "" {
			out.Faults = append(out.Faults, name+": "+part.Error)
		}
	}
	slices.Sort(out.Faults)
	out.Pushes = s.pushes(ctx)
	return out, nil
}

// pushes tells what has come to the server; nil if it does not say, which a proxy
// may keep from us.
func (s serverObserver) pushes(ctx context.Context) map[kefu.AppID]doctor.Pushes {
	address, err := reachable(cmp.Or(s.admin, s.listen))
	if err != nil {
		return nil
	}
	status, page, err := fetch(ctx, address+"/metrics")
	if err != nil || status != http.StatusOK {
		return nil
	}
	return countPushes(page)
}

// fetch gets a page. Its error does not repeat the address.
func fetch(ctx context.Context, address string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, errors.New("it is no address")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read only
	const most = 4 << 20
	page, err := io.ReadAll(io.LimitReader(resp.Body, most))
	return resp.StatusCode, page, err
}

var callbackCount = regexp.MustCompile(`(?m)^kefud_callbacks_total\{app="([^"]*)",kind="([^"]*)",outcome="([^"]*)"\} ([0-9.e+]+)$`)

// countPushes reads from a server's metrics what has come to each app. WeChat's
// check of the URL is no push.
func countPushes(page []byte) map[kefu.AppID]doctor.Pushes {
	out := map[kefu.AppID]doctor.Pushes{}
	for _, m := range callbackCount.FindAllSubmatch(page, -1) {
		n, err := strconv.ParseFloat(string(m[4]), 64)
		if err != nil || string(m[2]) == "verify" {
			continue
		}
		app := kefu.AppID(m[1])
		p := out[app]
		switch {
		case string(m[2]) != "none":
			p.Answered += int(n)
		case string(m[3]) == "address":
			p.Strange += int(n)
		default:
			p.Refused += int(n)
		}
		out[app] = p
	}
	return out
}
