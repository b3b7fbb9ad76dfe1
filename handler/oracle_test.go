package handler

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/internal/soak"
)

// wrongTexts are decrypted texts of one length, each with something else wrong.
func wrongTexts() map[string][]byte {
	message := letter(1)
	good := make([]byte, 16, 512)
	good = binary.BigEndian.AppendUint32(good, uint32(len(message)))
	good = append(append(good, message...), bankID...)
	pad := 32 - len(good)%32
	good = append(good, bytes.Repeat([]byte{byte(pad)}, pad)...)
	change := func(at int, b byte) []byte {
		text := slices.Clone(good)
		text[at] = b
		return text
	}
	end := len(good)
	return map[string][]byte{
		"padding of 0":              change(end-1, 0),
		"padding of 33":             change(end-1, 33),
		"padding of 255":            change(end-1, 255),
		"padding of different ends": change(end-2, byte(pad)+1),
		"another app id":            change(end-pad-1, 'x'),
		"an app id in capitals":     change(end-pad-len(bankID), 'W'),
		"a length too small":        change(19, good[19]-1),
		"a length too great":        change(19, good[19]+1),
		"a length beyond all":       change(16, 0xff),
		"a length below zero":       change(16, 0x80),
	}
}

// Whoever could sign, and had no key, learns nothing by trying: whatever is wrong
// inside a ciphertext, the answer, its time and the log are the same.
func TestReliableNoPaddingOracle(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	type told struct {
		Code   int
		Body   string
		Header http.Header
		Log    string
	}
	wrong := wrongTexts()
	parcels := map[string]parcel{}
	var first *told
	for name, text := range wrong {
		c := encryptBlocks(text)
		parcels[name] = parcel{"bank", attackSigned(bankToken, g.now, attackNonce, c), envelope(c, false)}
		g.log.Reset()
		g.now = g.now.Add(remindEvery) // a refusal is logged again
		w := g.send(parcels[name])
		got := told{w.Code, w.Body.String(), w.Header(), g.log.String()}
		if first == nil {
			first = &got
		}
		if diff := cmp.Diff(*first, got); diff != "" || got.Code != http.StatusBadRequest || !strings.Contains(got.Log, "callback refused") || len(g.taken()) != 0 {
			t.Errorf("%s: %+v; unlike another:\n%s", name, got, diff)
		}
	}

	const one, other = "padding of 0", "another app id"
	rounds := soak.Pick(4_000, 100_000)
	took := map[string][]time.Duration{}
	for i := range rounds {
		names := []string{one, other}
		if i%2 == 1 {
			slices.Reverse(names) // neither always runs in the other's wake
		}
		for _, name := range names {
			began := time.Now()
			g.send(parcels[name])
			took[name] = append(took[name], time.Since(began))
		}
	}
	a, b := median(took[one]), median(took[other])
	ratio := float64(a) / float64(b)
	if ratio < 0.8 || ratio > 1.25 {
		t.Errorf("the median of a bad padding is %s, of a bad app id %s: their ratio %.3f tells them apart", a, b, ratio)
	}
	soak.Measured(t, "oracle", "%d ways to be wrong, one answer and one log line; median time of bad padding to that of a bad app id over %d pairs: %.3f", len(wrong), rounds, ratio)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
