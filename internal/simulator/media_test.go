package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

const (
	uploadPath   = "/cgi-bin/media/upload"
	downloadPath = "/cgi-bin/media/get"
)

// A form is a multipart form with one file.
type form struct{ field, name, contentType, file string }

// upload uploads a form and returns the answer.
func (w *world) upload(t *testing.T, query string, f form) map[string]any {
	t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=%q", f.field)}}
	if f.name != "" {
		header["Content-Disposition"][0] += fmt.Sprintf("; filename=%q", f.name)
	}
	if f.contentType != "" {
		header.Set("Content-Type", f.contentType)
	}
	part, err := m.CreatePart(header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = part.Write([]byte(f.file)); err != nil {
		t.Fatal(err)
	}
	if err = m.Close(); err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, uploadPath+"?"+query, &body)
	req.Header.Set("Content-Type", m.FormDataContentType())
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, req)
	var out map[string]any
	if err = json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		t.Fatalf("status %d, %s", rec.Code, rec.Body)
	}
	return out
}

// download fetches a picture; what it returns besides is the errcode.
func (w *world) download(t *testing.T, token, id string) (*httptest.ResponseRecorder, int) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, downloadPath+"?access_token="+token+"&media_id="+id, http.NoBody))
	var out map[string]any
	if json.Unmarshal(rec.Body.Bytes(), &out) != nil {
		return rec, 0
	}
	return rec, code(out)
}

const png = "\x89PNG\x0D\x0A\x1A\x0A and more"

func TestUpload(t *testing.T) {
	t.Parallel()
	good := form{"media", "a.png", "image/png", png}
	tests := []struct {
		name  string
		kind  string
		form  form
		want  int
		fault string
	}{
		{"PNG", "image", good, 0, ""},
		{"GIF, of any Content-Type", "image", form{"media", "a", "application/octet-stream", "GIF89a..."}, 0, ""},
		{"as large as may be", "image", form{"media", "a.png", "image/png", png + strings.Repeat("x", 10<<20-len(png))}, 0, ""},
		{"too large", "image", form{"media", "a.png", "image/png", png + strings.Repeat("x", 10<<20-len(png)+1)}, 40009, ""},
		{"voice", "voice", good, 40004, "type"},
		{"no type", "", good, 40004, "type"},
		{"another field", "image", form{"file", "a.png", "image/png", png}, 41005, "no file named media"},
		{"no filename", "image", form{"media", "", "image/png", png}, 41005, "no filename"},
		{"no Content-Type", "image", form{"media", "a.png", "", png}, 41005, "no Content-Type"},
		{"empty", "image", form{"media", "a.png", "image/png", ""}, 44001, "empty"},
		{"no picture", "image", form{"media", "a.png", "image/png", "hello"}, 40137, "neither PNG"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{}, account())
			token := w.token(t)
			out := w.upload(t, "access_token="+token+"&type="+tt.kind, tt.form)
			faults := fmt.Sprint(w.Faults())
			if code(out) != tt.want || (faults == "[]") != (tt.fault == "") || !strings.Contains(faults, tt.fault) {
				t.Fatalf("answer = %v, faults = %s, want %d, %q", out, faults, tt.want, tt.fault)
			}
			if tt.want != 0 {
				return
			}
			if out["type"] != "image" || out["created_at"] != float64(w.clock.Now().Unix()) || out["errcode"] != nil {
				t.Errorf("answer = %v", out)
			}
			id := at[string](t, out, "media_id")
			if rec, _ := w.download(t, token, id); rec.Body.String() != tt.form.file || !strings.HasPrefix(rec.Header().Get("Content-Type"), "image/") {
				t.Errorf("downloaded %d bytes of %q", rec.Body.Len(), rec.Header().Get("Content-Type"))
			}
			if got, ok := w.account.MediaBytes(id); !ok || string(got) != tt.form.file {
				t.Errorf("MediaBytes = %d bytes, %t", len(got), ok)
			}
		})
	}
}

func TestUploadIsAForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	target := uploadPath + "?type=image&access_token=" + w.token(t)
	if out := w.call(t, http.MethodPost, target, png); code(out) != 41005 {
		t.Errorf("a bare picture: %v", out)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a\"\r\nContent-Type: image/png\r\n\r\n"+png))
	req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, req)
	if !strings.Contains(rec.Body.String(), `"errcode":41005`) || !strings.Contains(fmt.Sprint(w.Faults()), "cut off") {
		t.Errorf("cut off: %s, %v", rec.Body, w.Faults())
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	w.server.answer = success
	other := account()
	other.AppID, other.OriginalID = "wx2", "gh_2"
	elsewhere, err := w.AddAccount(other)
	if err != nil {
		t.Fatal(err)
	}
	c := w.Customer(w.account, "oOne")
	for _, send := range []func() (Result, error){
		func() (Result, error) { return c.SendImage(t.Context()) },
		func() (Result, error) { return c.SendCard(t.Context(), "杯子", "pages/cup") },
	} {
		if _, err := send(); err != nil {
			t.Fatal(err)
		}
	}
	image, thumb := w.server.pushes()[0].text("MediaId"), w.server.pushes()[1].text("ThumbMediaId")
	one, _ := w.account.MediaBytes(image)
	two, _ := w.account.MediaBytes(thumb)
	if len(one) == 0 || bytes.Equal(one, two) {
		t.Errorf("pictures %q and %q", one, two)
	}
	tests := []struct {
		name, id string
		want     int
	}{
		{"an image", image, 0},
		{"a card", thumb, 0},
		{"another account's", elsewhere.Media(), 40007},
		{"unknown", "x", 40007},
		{"none", "", 41006},
	}
	token := w.token(t)
	for _, tt := range tests {
		rec, got := w.download(t, token, tt.id)
		if got != tt.want || (rec.Header().Get("Content-Type") == "image/jpeg") != (tt.want == 0) {
			t.Errorf("%s: %d, %q", tt.name, got, rec.Header())
		}
	}
	w.clock.pass(mediaLife + time.Second)
	if _, got := w.download(t, w.token(t), image); got != 40007 {
		t.Errorf("after 3 days: %d", got)
	}
	if _, ok := w.account.MediaBytes(image); ok {
		t.Error("after 3 days: the bytes are there")
	}
	lift := w.BreakAPI(APIBreak{Path: downloadPath, Truncate: true})
	defer lift()
	whole := w.account.Media()
	want, _ := w.account.MediaBytes(whole)
	if rec, _ := w.download(t, w.token(t), whole); rec.Body.Len() != len(want)/2 {
		t.Errorf("cut in half: %d of %d bytes", rec.Body.Len(), len(want))
	}
}

func TestPicturesInTheInbox(t *testing.T) {
	t.Parallel()
	var told []string
	w := newWorld(t, Options{OnEvent: func(e Event) {
		if e.Kind == Delivered {
			told = append(told, e.String())
		}
	}}, account())
	w.server.answer = success
	c := w.Customer(w.account, "oOne")
	say(t, c, "hi")
	id := w.account.Media()
	want, _ := w.account.MediaBytes(id)
	target := sendPath + "?access_token=" + w.token(t)
	for _, body := range []string{
		`{"touser":"oOne","msgtype":"image","image":{"media_id":"` + id + `"}}`,
		`{"touser":"oOne","msgtype":"miniprogrampage","miniprogrampage":{"title":"t","pagepath":"p","thumb_media_id":"` + id + `"}}`,
		`{"touser":"oOne","msgtype":"text","text":{"content":"x"}}`,
	} {
		if out := w.call(t, http.MethodPost, target, body); code(out) != 0 {
			t.Fatal(out)
		}
	}
	in := c.Inbox()
	if !bytes.Equal(in[0].Media, want) || !bytes.Equal(in[1].Media, want) || in[2].Media != nil {
		t.Errorf("inbox = %+v", in)
	}
	if got, want := strings.Join(told, "|"), "shop oOne delivered [image]|shop oOne delivered t|shop oOne delivered x"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}
