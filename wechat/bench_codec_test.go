package wechat

import (
	"fmt"
	"testing"

	"kefud/internal/race"
	"kefud/kefu"
)

func benchmarkCodec(b *testing.B, run func(*testing.B, *Codec, Query, []byte)) {
	b.Helper()
	s := samples()[0]
	for _, way := range []string{inClear, beside, sealed} {
		for f, message := range map[string]string{"xml": s.xml, "json": s.json} {
			b.Run(fmt.Sprintf("%s/%s", way, f), func(b *testing.B) {
				c := mustCodec(b, CodecOptions{Encryption: Compatible})
				q, body := wrap(b, way, message)
				b.ReportAllocs()
				run(b, c, q, []byte(body))
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	benchmarkCodec(b, func(b *testing.B, c *Codec, q Query, body []byte) {
		b.Helper()
		for b.Loop() {
			if _, err := c.Open(q, body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	d := decided(kefu.WayNamed, "kf2001@gh_1a2b3c")
	benchmarkCodec(b, func(b *testing.B, c *Codec, q Query, body []byte) {
		b.Helper()
		p, err := c.Open(q, body)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, _, err := c.Seal(nil, &p, d); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	c := mustCodec(b, CodecOptions{Encryption: Plain})
	q := queryFor(testNow, "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Verify(q, testNow); err != nil {
			b.Fatal(err)
		}
	}
}

// Reading a push as WeChat writes it stays cheap: what it allocates does not
// depend on the machine.
func TestOpenAllocatesLittle(t *testing.T) { //nolint:paralleltest // allocations are counted over all goroutines
	s := samples()[0]
	for _, tt := range []struct {
		way       string
		xml, json float64
	}{{inClear, 1, 1}, {sealed, 2, 2}} {
		for message, most := range map[string]float64{s.xml: tt.xml, s.json: tt.json} {
			c := mustCodec(t, CodecOptions{Encryption: Compatible})
			q, body := wrap(t, tt.way, message)
			got := testing.AllocsPerRun(100, func() {
				if _, err := c.Open(q, []byte(body)); err != nil {
					t.Fatal(err)
				}
			})
			if got > most+1+race.Allocations { // one is the body
				t.Errorf("%s: %.0f allocations, want at most %.0f:\n%s", tt.way, got, most+1, message)
			}
		}
	}
}

func TestOrdinaryMessagesNeedNoStandardDecoder(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		got, ok := readBy(scanJSON, s.json)
		if want, read := readBy(readStandardJSON, []byte(s.json)); !ok || !read || got != want {
			t.Errorf("scanJSON(%s) = %+v, %t, want %+v", s.json, got, ok, want)
		}
	}
}

func TestSealAllocatesLittle(t *testing.T) { //nolint:paralleltest // allocations are counted over all goroutines
	s := samples()[0]
	for _, tt := range []struct {
		way  string
		most float64
	}{{inClear, 0}, {sealed, 0}} {
		for _, message := range []string{s.xml, s.json} {
			c := mustCodec(t, CodecOptions{Encryption: Compatible})
			q, body := wrap(t, tt.way, message)
			p, err := c.Open(q, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			room := make([]byte, 0, 1024)
			got := testing.AllocsPerRun(100, func() {
				if _, _, err := c.Seal(room, &p, decided(kefu.WayNamed, "kf2001@gh_1a2b3c")); err != nil {
					t.Fatal(err)
				}
			})
			if got > tt.most+race.Allocations {
				t.Errorf("%s: %.0f allocations, want at most %.0f:\n%s", tt.way, got, tt.most, message)
			}
		}
	}
}
