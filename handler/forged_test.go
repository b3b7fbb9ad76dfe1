package handler

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kefud/internal/soak"
)

// A forger makes pushes that WeChat did not send out of some that it did, whose
// contents, signatures and times it has seen. It knows no token and no key.
type forger struct {
	*rand.Rand
	target *target
	seen   []parcel
}

func newForger(g *target, seed uint64) *forger {
	f := &forger{Rand: rand.New(rand.NewPCG(seed, 1)), target: g}
	for id := range 32 {
		f.seen = append(f.seen, g.genuine(id+1, id%2 == 0))
	}
	return f
}

// any is one of the pushes, to be changed at will.
func (f *forger) any() parcel {
	p := f.seen[f.IntN(len(f.seen))]
	p.query = maps.Clone(p.query)
	for name, values := range p.query {
		p.query[name] = slices.Clone(values)
	}
	return p
}

// flip flips a bit of a text.
func (f *forger) flip(text string) string {
	b := []byte(text)
	b[f.IntN(len(b))] ^= 1 << f.IntN(8)
	return string(b)
}

// word is a text of letters and digits.
func (f *forger) word(length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = "0123456789abcdef"[f.IntN(16)]
	}
	return string(b)
}

// sealed is the ciphertext of a push, and where it stands in the body.
func (p parcel) sealed() (int, int) {
	begin := strings.Index(p.body, "Encrypt")
	begin += strings.IndexAny(p.body[begin+len("Encrypt>"):], "[\"") + len("Encrypt>") + 1
	if strings.HasPrefix(p.body, "<") {
		begin += len("CDATA[")
	}
	return begin, begin + strings.IndexAny(p.body[begin:], "]\"")
}

var forgeries = []struct {
	name string
	make func(*forger) parcel
}{
	{"a bit of the query flipped", func(f *forger) parcel {
		p := f.any()
		name := []string{"signature", "msg_signature", "timestamp", "nonce"}[f.IntN(4)]
		p.query.Set(name, f.flip(p.query.Get(name)))
		return p
	}},
	{"a bit of the ciphertext flipped", func(f *forger) parcel {
		p := f.any()
		begin, end := p.sealed()
		p.body = p.body[:begin] + f.flip(p.body[begin:end]) + p.body[end:]
		return p
	}},
	{"cut off", func(f *forger) parcel {
		p := f.any()
		p.body = p.body[:f.IntN(len(p.body))]
		return p
	}},
	{"blocks of the ciphertext left out", func(f *forger) parcel {
		p := f.any()
		begin, end := p.sealed()
		from := begin + 128*f.IntN((end-begin)/128) // 128 characters are whole blocks
		p.body = p.body[:from] + p.body[min(from+128, end):]
		return p
	}},
	{"blocks of the ciphertext moved into the nonce", func(f *forger) parcel {
		p := f.any()
		begin, _ := p.sealed()
		p.query.Set("nonce", p.query.Get("nonce")+p.body[begin:begin+128])
		p.body = p.body[:begin] + p.body[begin+128:]
		return p
	}},
	{"another body under the same signature", func(f *forger) parcel {
		p, q := f.any(), f.any()
		for q.body == p.body {
			q = f.any()
		}
		p.body = q.body
		return p
	}},
	{"a body in clear under a good signature", func(f *forger) parcel {
		p := f.any()
		p.body = letter(f.IntN(1e9))
		return p
	}},
	{"too old", func(f *forger) parcel {
		id, ago := f.IntN(1e9), attackAge+time.Second+time.Duration(f.Int64N(int64(400*24*time.Hour)))
		c := cipherText(letter(id), bankID)
		return parcel{"bank", attackSigned(bankToken, f.target.now.Add(-ago), f.word(9), c), envelope(c, false)}
	}},
	{"of the future", func(f *forger) parcel {
		c := cipherText(letter(f.IntN(1e9)), bankID)
		ahead := attackAge + time.Second + time.Duration(f.Int64N(int64(400*24*time.Hour)))
		return parcel{"bank", attackSigned(bankToken, f.target.now.Add(ahead), f.word(9), c), envelope(c, true)}
	}},
	{"the nonce again, another time", func(f *forger) parcel {
		p := f.any()
		p.query.Set("timestamp", strconv.FormatInt(f.target.now.Unix()-1-f.Int64N(500), 10))
		return p
	}},
	{"time and nonce cut elsewhere", func(f *forger) parcel {
		p := f.any()
		stamp, nonce := p.query.Get("timestamp"), p.query.Get("nonce")
		both := stamp + nonce
		if f.IntN(2) == 0 {
			both = nonce + stamp
		}
		at := f.IntN(len(both))
		for both[:at] == stamp || both[at:] == stamp {
			at = f.IntN(len(both))
		}
		p.query.Set("timestamp", both[:at])
		p.query.Set("nonce", both[at:])
		if f.IntN(2) == 0 {
			p.query.Set("timestamp", both[at:])
			p.query.Set("nonce", both[:at])
		}
		return p
	}},
	{"signed with another token", func(f *forger) parcel {
		p := f.any()
		begin, end := p.sealed()
		p.query = attackSigned(f.word(1+f.IntN(32)), f.target.now, f.word(9), p.body[begin:end])
		return p
	}},
	{"signed with nothing", func(f *forger) parcel {
		p := f.any()
		for _, name := range []string{"signature", "msg_signature", "timestamp", "nonce"}[f.IntN(4):] {
			p.query.Del(name)
		}
		return p
	}},
	{"at the URL of an app with the same token and key", func(f *forger) parcel {
		p := f.any()
		p.app = []string{"twin", "open"}[f.IntN(2)]
		return p
	}},
	{"at the URL of an app with another token", func(f *forger) parcel {
		p := f.any()
		p.app = []string{"other", "plain"}[f.IntN(2)]
		return p
	}},
	{"at no app's URL", func(f *forger) parcel {
		p := f.any()
		p.app = []string{"nosuch", "..%2fbank", "bank%00", "BANK", "bank%2f", "%2e%2e"}[f.IntN(6)]
		return p
	}},
	{"noise", func(f *forger) parcel {
		p := f.any()
		p.body = f.word(1 + f.IntN(2000))
		return p
	}},
}

// Nothing that WeChat did not send comes to the router, however close to genuine
// it is.
func TestReliableForgedPushesAreRefused(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := newForger(g, seed)
	for i, p := range f.seen {
		if w := g.send(p); w.Code != http.StatusOK || len(g.taken()) != 1 {
			t.Fatalf("genuine push %d: %d %s", i, w.Code, w.Body)
		}
	}
	tries := soak.Pick(20_000, 1_000_000)
	statuses := map[int]int{}
	for i := range tries {
		forgery := forgeries[i%len(forgeries)]
		p := forgery.make(f)
		w := g.send(p)
		statuses[w.Code]++
		if taken := g.taken(); len(taken) != 0 || w.Code != 400 && w.Code != 403 && w.Code != 404 {
			t.Fatalf("%s: %d %s, routed %+v; %s %v %q", forgery.name, w.Code, w.Body, taken, p.app, p.query, p.body)
		}
	}
	if w := g.send(f.any()); w.Code != http.StatusOK || len(g.taken()) != 1 {
		t.Errorf("a genuine push after them: %d %s", w.Code, w.Body)
	}
	if lines := strings.Count(g.log.String(), "callback refused"); lines < 3 || lines > 20 {
		t.Errorf("they left %d lines in the log, want one for each app and reason", lines)
	}
	soak.Measured(t, "forged", "%d forgeries of %d kinds, none accepted (%d × 403, %d × 400, %d × 404)",
		tries, len(forgeries), statuses[403], statuses[400], statuses[404])
}

// The same over a connection, where a request is what the parser makes of it.
func TestForgedPushesAreRefusedOnTheWire(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := httptest.NewUnstartedServer(nil)
	s.Config = NewServer("", g)
	s.Start()
	t.Cleanup(s.Close)
	f := newForger(g, 7)
	post := func(p parcel) (int, string) {
		u := s.URL + "/wechat/" + p.app + "?" + p.query.Encode()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u, strings.NewReader(p.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }() // only read from
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	if code, text := post(f.any()); code != http.StatusOK || len(g.taken()) != 1 {
		t.Fatalf("a genuine push: %d %s", code, text)
	}
	for range 20 {
		for _, forgery := range forgeries {
			code, text := post(forgery.make(f))
			if taken := g.taken(); len(taken) != 0 || code != 400 && code != 403 && code != 404 {
				t.Fatalf("%s: %d %s, routed %+v", forgery.name, code, text, taken)
			}
		}
	}
}

// A flipped bit anywhere in a body, the part nobody signs included, never makes
// another message of it.
func TestFlippedBitsNeverMakeAnotherMessage(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	for _, asJSON := range []bool{false, true} {
		p := g.genuine(1, asJSON)
		g.send(p)
		want := fmt.Sprintf("%+v", g.taken())
		for at := range p.body {
			for bit := range 8 {
				flipped := []byte(p.body)
				flipped[at] ^= 1 << bit
				w := g.send(parcel{p.app, p.query, string(flipped)})
				if taken := g.taken(); len(taken) > 0 && fmt.Sprintf("%+v", taken) != want || len(taken) == 0 && w.Code == http.StatusOK {
					t.Fatalf("%q: %d, routed %+v, want %s", flipped, w.Code, taken, want)
				}
			}
		}
	}
}

// What is not signed decides nothing.
func TestUnsignedParametersDecideNothing(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	for name, values := range map[string][]string{
		"openid":       {"oSomebodyElse00000000000000"},
		"encrypt_type": {"raw", "", "aes", "des"},
		"echostr":      {"x"},
		"app":          {"plain"},
	} {
		for _, value := range values {
			p := g.genuine(1, false)
			p.query.Set(name, value)
			w := g.send(p)
			if taken := g.taken(); w.Code != http.StatusOK || len(taken) != 1 || taken[0].Customer.User != openid || taken[0].Customer.App != "bank" {
				t.Errorf("%s=%s: %d, routed %+v", name, value, w.Code, taken)
			}
		}
	}
	// The first of two counts, and it has to hold.
	p := g.genuine(1, false)
	p.query = url.Values{
		"signature": {"bad", p.query.Get("signature")}, "msg_signature": p.query["msg_signature"],
		"timestamp": p.query["timestamp"], "nonce": p.query["nonce"],
	}
	if w := g.send(p); w.Code != http.StatusForbidden {
		t.Errorf("a bad signature before a good one: %d", w.Code)
	}
}
