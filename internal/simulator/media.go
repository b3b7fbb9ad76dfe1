package simulator

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"time"
)

// Temporary media of an account, which live for 3 days and are known to that
// account only. Upload and download:
// https://bookstack.cn/read/miniprogram-guide-20210305/01e9712bf4825d2b.md and
// https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/kf-mgnt/kf-message/getTempMedia.html, read 2026-11.
const (
	mediaLife = 3 * 24 * time.Hour
	maxMedia  = 10_000 // kept; beyond, those over their time are forgotten

	// The page says 2 MB in one line and 10M in another; the larger is taken. Of
	// mini-programs nothing is said: they are taken to have the same limit.
	// https://developers.weixin.qq.com/doc/service/api/material/temporary/api_uploadtempmedia, read 2026-11.
	maxImage = 10 << 20
	// Not WeChat's: what is read of an upload, so that a picture which is too
	// large hears so.
	maxUpload = 2 * maxImage
)

// A medium is a picture that an account may send.
type medium struct {
	made  time.Time
	bytes []byte
}

// A file is an answer of the API that is no JSON.
type file struct {
	name  string
	bytes []byte
}

// Media makes a media id, of a small picture of its own, that the account may
// send for 3 days.
func (a *Account) Media() string {
	a.box.mu.Lock()
	defer a.box.unlock()
	return a.keep(a.box.picture())
}

// MediaBytes is the picture of a media id, and whether the account has it still.
func (a *Account) MediaBytes(id string) ([]byte, bool) {
	a.box.mu.Lock()
	defer a.box.mu.Unlock()
	m, ok := a.medium(id)
	return bytes.Clone(m.bytes), ok
}

// medium finds what a media id stands for. Locked.
func (a *Account) medium(id string) (medium, bool) {
	m, ok := a.media[id]
	if !ok || a.box.opts.Now().Sub(m.made) > mediaLife {
		return medium{}, false
	}
	return m, true
}

// keep gives a picture a media id. Locked.
func (a *Account) keep(picture []byte) string {
	now := a.box.opts.Now()
	if len(a.media) >= maxMedia {
		for id, m := range a.media {
			if now.Sub(m.made) > mediaLife {
				delete(a.media, id)
			}
		}
	}
	id := a.box.text(letters, 64)
	a.media[id] = medium{made: now, bytes: picture}
	return id
}

// picture makes what begins as a JPEG does and is like no other. Locked.
func (b *Box) picture() []byte {
	return []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01" + b.text(letters, 64) + "\xff\xd9")
}

// download is GET /cgi-bin/media/get: the bytes, or JSON that says why not.
func (b *Box) download(c call) (any, problem) {
	id := c.query.Get("media_id")
	if id == "" {
		return nil, b.malformed(c, problem{41006, "media_id missing"}, "there is no media_id")
	}
	m, ok := c.account.medium(id)
	if !ok {
		return nil, badMedia
	}
	return file{name: id + ".jpg", bytes: m.bytes}, problem{}
}

var badMedia = problem{40007, "invalid media_id"}

// upload is POST /cgi-bin/media/upload. Mini-programs know the type image
// only; of what official accounts know besides, the Box knows nothing either.
func (b *Box) upload(c call) (any, problem) {
	kind := c.query.Get("type")
	if kind != "image" {
		return nil, b.malformed(c, problem{40004, "invalid media type"}, "the type is not image")
	}
	picture, err := filePart(c)
	if err != nil {
		return nil, b.malformed(c, problem{41005, "media data missing"}, err.Error())
	}
	// Which errcode stands for which fault is not said by the page; these are
	// what the list of all errcodes has for them.
	switch format := http.DetectContentType(picture); {
	case len(picture) == 0:
		return nil, b.malformed(c, problem{44001, "empty media data"}, "the file is empty")
	case len(picture) > maxImage:
		return nil, problem{40009, "invalid image size"}
	case !slices.Contains([]string{"image/png", "image/jpeg", "image/gif"}, format):
		return nil, b.malformed(c, problem{40137, "invalid image format"}, "the file is neither PNG nor JPEG nor GIF")
	}
	return struct {
		Type      string `json:"type"`
		MediaID   string `json:"media_id"`
		CreatedAt int64  `json:"created_at"`
	}{kind, c.account.keep(picture), b.opts.Now().Unix()}, problem{}
}

// filePart reads the form's file.
func filePart(c call) ([]byte, error) {
	media, params, err := mime.ParseMediaType(c.contentType)
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, errors.New("the body is no multipart form")
	}
	form := multipart.NewReader(bytes.NewReader(c.body), params["boundary"])
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, errors.New("the form has no file named media, or is cut off")
		}
		if part.FormName() != "media" {
			continue
		}
		if part.FileName() == "" || part.Header.Get("Content-Type") == "" {
			return nil, errors.New("the form's file has no filename or no Content-Type")
		}
		picture, err := io.ReadAll(part)
		if err != nil {
			return nil, errors.New("the form's file is cut off")
		}
		return picture, nil
	}
}
