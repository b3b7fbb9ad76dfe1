package wechat

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"kefud/kefu"
)

const (
	// What a picture may have in bytes. None is documented for mini-programs, and
	// the page of official accounts gives two limits, 2 MB and 10 M; within ours
	// it is for WeChat to refuse.
	// https://developers.weixin.qq.com/doc/service/api/material/temporary/api_uploadtempmedia,
	// read 2026-11.
	maxPicture = 10 << 20
	// A picture takes longer on its way than anything else.
	mediaTimeouts = 3 // times that of other calls

	// A media_id is good for 3 days. Half a day is left for a message that waits
	// on its way, and for clocks that disagree.
	copyLife = 60 * time.Hour
)

// A picture is one as it travels.
type picture struct {
	kind string // its Content-Type
	data []byte
}

// fetchMedia gets one app's picture.
//
// WeChat, "getTempMedia",
// https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/kf-mgnt/kf-message/getTempMedia.html,
// read 2026-11: the picture itself, or JSON with an errcode.
func (c *Client) fetchMedia(ctx context.Context, m kefu.Media) (picture, error) {
	var p picture
	err := c.call(ctx, m.App, request{
		op:      opMediaGet,
		method:  http.MethodGet,
		path:    "/cgi-bin/media/get",
		query:   url.Values{"media_id": {m.ID}},
		private: []string{m.ID},
		slow:    true,
	}, &p)
	return p, err
}

// uploadMedia makes a picture one of an app's, and gives its media_id and how
// long that may be used. Nobody sees an upload, so it may be repeated.
//
// WeChat, "uploadTempMedia",
// https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/kf-mgnt/kf-message/uploadTempMedia.html,
// read 2026-11: a field "media" with filename and content-type; the media_id is
// good for 3 days; created_at is a number in the table, a text in the sample.
func (c *Client) uploadMedia(ctx context.Context, to kefu.AppID, p picture) (string, time.Duration, error) {
	var answer struct {
		ID      loose `json:"media_id"`
		Created loose `json:"created_at"` // seconds
	}
	err := c.call(ctx, to, request{
		op:     opMediaUpload,
		method: http.MethodPost,
		path:   "/cgi-bin/media/upload",
		query:  url.Values{"type": {"image"}},
		body:   p,
		slow:   true,
	}, &answer)
	if err != nil {
		return "", 0, err
	}
	if answer.ID == "" {
		return "", 0, &APIError{
			Op: opMediaUpload, App: to, Status: http.StatusOK, fault: faultAnswer,
			Msg: "the answer has no media_id",
		}
	}
	left := copyLife
	if created, bad := answer.Created.number(); bad == nil && created > 0 {
		left = min(left, time.Unix(int64(created), 0).Add(copyLife).Sub(c.now()))
	}
	return string(answer.ID), left, nil
}

// take takes the picture out of an answer, or tells what is there instead. JSON
// is never a picture, whatever the Content-Type says of it; anything else is one
// only if its first bytes and the Content-Type do not contradict each other.
func (p *picture) take(status int, contentType string, body []byte) *APIError {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = ""
	}
	sniffed, _, _ := strings.Cut(http.DetectContentType(body), ";")
	switch {
	case status < 200 || status > 299 || startsObject(body):
		if e := judgeAnswer(status, body, nil); e != nil {
			return e
		}
		return &APIError{Status: status, fault: faultMedia, Msg: "the answer is JSON without an errcode"}
	case strings.HasPrefix(kind, "audio/") || strings.HasPrefix(kind, "video/"):
		return &APIError{Status: status, fault: faultMedia, Msg: "the media is no picture"}
	case !isPicture(kind, sniffed) || len(body) == 0:
		return &APIError{Status: status, fault: faultAnswer, Msg: "the answer is no picture"}
	case len(body) > maxPicture:
		return &APIError{Status: status, fault: faultTooLarge, Msg: "the picture is too large"}
	}
	p.kind, p.data = kind, body
	if strings.HasPrefix(sniffed, "image/") {
		p.kind = sniffed
	}
	return nil
}

// isPicture judges by what the Content-Type says and by what the first bytes
// say. A kind of picture that Go does not know is left to WeChat to judge.
func isPicture(kind, sniffed string) bool {
	if kind == "" || kind == "application/octet-stream" {
		return strings.HasPrefix(sniffed, "image/")
	}
	return strings.HasPrefix(kind, "image/") && !strings.HasPrefix(sniffed, "text/")
}

func startsObject(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
}

// encodeForm writes the picture as the form that an upload is, and gives the
// form's Content-Type.
func (p picture) encodeForm() ([]byte, string, error) {
	const frame = 512 // bytes around the picture
	b := bytes.NewBuffer(make([]byte, 0, len(p.data)+frame))
	form := multipart.NewWriter(b)
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="media"; filename="picture.` + p.extension() + `"`},
		"Content-Type":        {p.kind},
	})
	if err == nil {
		_, err = part.Write(p.data)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return nil, "", fmt.Errorf("write form: %w", err)
	}
	return b.Bytes(), form.FormDataContentType(), nil
}

// extension is the end of the picture's file name, which WeChat looks at.
func (p picture) extension() string {
	switch p.kind {
	case "image/png", "image/gif", "image/bmp", "image/webp":
		return strings.TrimPrefix(p.kind, "image/")
	}
	return "jpg"
}
