package doctor

import (
	"bytes"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"kefud/kefu"
)

func TestExamineAsksEverybody(t *testing.T) {
	t.Parallel()
	s, f, apps := good()
	s.Table, _ = kefu.NewTable(apps, agents())
	got := Examine(t.Context(), s, Observers{
		Store: crowd{f: f}, WeChat: crowd{f: f}, Server: crowd{f: f}, Now: func() time.Time { return now },
	}, f.Push)
	if want := Check(s, f); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// Whoever does not answer costs his own time, not that of everybody after him.
func TestExamineIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, apps := good()
		s.Table, _ = kefu.NewTable(apps, agents())
		silent := crowd{f: f, silent: true}
		start := time.Now()
		found := Examine(t.Context(), s, Observers{Store: silent, WeChat: silent, Server: silent}, nil)
		if took := time.Since(start); took > AllLimit {
			t.Errorf("it took %s", took)
		}
		if n := Tally(found); n[Fail] != 4 { // Redis, and each app's token
			t.Errorf("%v of %+v", n, found)
		}
	})
}

func TestParseSample(t *testing.T) {
	t.Parallel()
	const query = "signature=ab&timestamp=1&nonce=2"
	const body = `{"a":"b c"}`
	for _, tt := range []struct {
		name, text string
		app        kefu.AppID
		body       string
	}{
		{"a URL and the body", "https://h/wechat/shop?" + query + "\n" + body + "\n", "shop", body},
		{"a path, an empty line and the body", "/wechat/shop/?" + query + "\r\n\r\n" + body, "shop", body},
		{"a method before it", "POST https://h/other?" + query + "\n" + body, "", body},
		{"with a byte order mark", "\ufeff\n/wechat/shop?" + query + "\n" + body, "shop", body},
		{"raw HTTP", "POST /wechat/shop?" + query + " HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\n\r\n" + body, "shop", body},
		{"raw HTTP without a body", "GET /wechat/shop?" + query + "&echostr=1 HTTP/1.1\nHost: h", "shop", ""},
		{"curl", "curl -X POST 'https://h/wechat/shop?" + query + "' -H 'a: b' -d '" + body + "'", "shop", body},
		{"curl over lines", "curl \\\n  --data-raw \"{\\\"a\\\":\\\"b c\\\"}\" \\\n  \"https://h/wechat/shop?" + query + "\"\n", "shop", body},
		{"curl with an equals sign", "curl https://h/wechat/shop?" + `signature=ab\&timestamp=1\&nonce=2` + " --data-binary='" + body + "'", "shop", body},
	} {
		got, err := ParseSample([]byte(tt.text))
		if err != nil || got.App != tt.app || string(got.Body) != tt.body || got.Query.Get("signature") != "ab" || got.Query.Get("nonce") != "2" {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	for _, text := range []string{
		"", "hello", "POST /wechat/shop HTTP/1.1\n\nx", "curl https://h/", "curl 'https://h/?signature=a", "curl https://h/?signature=a -d @file",
		"https://h/%zz?signature=a", "/a?signature=%zz", "/a?signature=",
	} {
		if got, err := ParseSample([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzParseSample(f *testing.F) {
	for _, seed := range []string{"/a?signature=b\nx", "curl '/?signature=a' -d \\x", "POST /?signature=a HTTP/1.1\n\n", "curl \"\\"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSample(text)
		if err == nil && (s.Query.Get("signature") == "" || len(s.Body) > len(text)) {
			t.Errorf("%q: %+v", text, s)
		}
		if err != nil && bytes.Contains(text, []byte("secret")) && bytes.Contains([]byte(err.Error()), []byte("secret")) {
			t.Errorf("%q: the error repeats it: %v", text, err)
		}
	})
}
