package wechat

import (
	"fmt"
	"testing"

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
			if _, _, err := c.Seal(p, d); err != nil {
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
		if err := c.Verify(q); err != nil {
			b.Fatal(err)
		}
	}
}
