package wechat

import (
	"context"
	"net/http"
	"sync"

	"kefud/kefu"
)

// copiesAtOnce bounds the memory that pictures on their way take: each up to
// maxPicture, twice.
const copiesAtOnce = 8

// outgoingImage is a picture for a customer.
//
// WeChat, "发送客服消息",
// https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage,
// read 2026-11.
type outgoingImage struct {
	To    string        `json:"touser"`
	Type  string        `json:"msgtype"`
	Image outgoingMedia `json:"image"`
}

type outgoingMedia struct {
	ID string `json:"media_id"`
}

// SendImage sends a picture to a customer, once. A picture of another app is
// first copied to his, unless it is known to have been; concurrent calls for one
// picture copy it once. An error is an *APIError; only if it is MaybeSent, the
// picture may have arrived. It says "bad_media" for a picture that WeChat no
// longer has.
func (c *Client) SendImage(ctx context.Context, to kefu.CustomerID, m kefu.Media) error {
	if to.User == "" || m.App == "" || m.ID == "" {
		return &APIError{Op: opSend, App: to.App, fault: faultRequest, Msg: "no recipient or no picture"}
	}
	if m.App == to.App {
		return c.sendImage(ctx, to, m.ID)
	}
	k := copyKey{to: to.App, of: m}
	own, err := c.copied(ctx, k, "")
	if err != nil {
		return err
	}
	err = c.sendImage(ctx, to, own.id)
	if !own.remembered || !mediaRefused(err) {
		return err
	}
	if own, err = c.copied(ctx, k, own.id); err != nil {
		return err
	}
	return c.sendImage(ctx, to, own.id)
}

func (c *Client) sendImage(ctx context.Context, to kefu.CustomerID, id string) error {
	return c.call(ctx, to.App, request{
		op:       opSend,
		method:   http.MethodPost,
		path:     "/cgi-bin/message/custom/send",
		body:     outgoingImage{To: to.User, Type: "image", Image: outgoingMedia{ID: id}},
		private:  []string{to.User, id},
		delivers: true,
	}, nil)
}

// A mediaCopy is a picture at the app that a copy was wished for.
type mediaCopy struct {
	id         string // media_id
	remembered bool   // WeChat may have forgotten it since
}

// A flight is one copy in the making. Its fields are set before done is closed.
type flight struct {
	done      chan struct{}
	copy      mediaCopy
	err       error
	abandoned bool // its maker gave up, which says nothing of the picture
}

// The copies are what is being copied.
type copies struct {
	slots chan struct{} // of copiesAtOnce places

	mu      sync.Mutex
	flights map[copyKey]*flight
}

func newCopies() *copies {
	return &copies{slots: make(chan struct{}, copiesAtOnce), flights: make(map[copyKey]*flight)}
}

// copied gives the media_id of the copy that k asks for, but not the one that
// was refused.
func (c *Client) copied(ctx context.Context, k copyKey, refused string) (mediaCopy, error) {
	for {
		f, mine := c.copies.board(k)
		if mine {
			c.fly(ctx, k, f, refused)
			return f.copy, f.err
		}
		select {
		case <-ctx.Done():
			return mediaCopy{}, gaveUp(opMediaGet, k.of.App, ctx.Err())
		case <-f.done:
		}
		if !f.abandoned && (f.err != nil || f.copy.id != refused) {
			return f.copy, f.err
		}
	}
}

// board gives the flight for k, and whether the caller has to fly it.
func (s *copies) board(k copyKey) (*flight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.flights[k]; ok {
		return f, false
	}
	f := &flight{done: make(chan struct{}), abandoned: true}
	s.flights[k] = f
	return f, true
}

func (s *copies) land(k copyKey, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flights, k)
	close(f.done)
}

// fly fills in a flight.
func (c *Client) fly(ctx context.Context, k copyKey, f *flight, refused string) {
	defer c.copies.land(k, f)
	if id := c.media.get(ctx, k); id != "" && id != refused {
		f.copy, f.abandoned = mediaCopy{id: id, remembered: true}, false
		return
	}
	f.copy.id, f.err = c.copyMedia(ctx, k)
	f.abandoned = f.err != nil && ctx.Err() != nil
}

// copyMedia makes a copy and remembers it.
func (c *Client) copyMedia(ctx context.Context, k copyKey) (string, error) {
	select {
	case <-ctx.Done():
		return "", gaveUp(opMediaGet, k.of.App, ctx.Err())
	case c.copies.slots <- struct{}{}:
		defer func() { <-c.copies.slots }()
	}
	p, err := c.fetchMedia(ctx, k.of)
	if err != nil {
		return "", err
	}
	id, left, err := c.uploadMedia(ctx, k.to, p)
	if err != nil {
		return "", err
	}
	c.media.put(ctx, k, id, left)
	return id, nil
}
