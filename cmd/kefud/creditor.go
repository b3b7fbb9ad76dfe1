package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"kefud/handler"
	"kefud/kefu"
)

// A creditor knows what is owed, and puts back what was given up. A delivery that
// may not be put back is a *refusal.
type creditor interface {
	owed(ctx context.Context, q kefu.OwedQuery) (handler.OwedPage, error)
	retry(ctx context.Context, id string) (handler.Retried, error)
}

func (a storeAdministration) owed(ctx context.Context, q kefu.OwedQuery) (handler.OwedPage, error) {
	page, err := a.office.Owed(ctx, q)
	return handler.NewOwedPage(page), err
}

func (a storeAdministration) retry(ctx context.Context, id string) (handler.Retried, error) {
	r, err := a.office.Retry(ctx, id)
	if err != nil {
		return handler.Retried{}, err
	}
	done, status, why := handler.NewRetried(id, r)
	if why != "" {
		return handler.Retried{}, &refusal{status: status, detail: why}
	}
	return done, nil
}

func (a *adminClient) owed(ctx context.Context, q kefu.OwedQuery) (handler.OwedPage, error) {
	query := url.Values{"state": {string(q.State)}, "limit": {strconv.Itoa(q.Limit)}}
	if q.App != "" {
		query.Set("app", string(q.App))
	}
	if q.Cursor != "" {
		query.Set("cursor", q.Cursor)
	}
	var page handler.OwedPage
	err := a.askAt(ctx, &page, http.MethodGet, "outbox?"+query.Encode())
	return page, err
}

func (a *adminClient) retry(ctx context.Context, id string) (handler.Retried, error) {
	var done handler.Retried
	err := a.ask(ctx, &done, http.MethodPost, "outbox", id, "retry")
	return done, err
}
