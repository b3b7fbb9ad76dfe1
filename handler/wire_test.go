package handler

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"kefud/kefu"
)

// Every answer states its length, whether net/http does so or write: nobody has
// said that WeChat takes one in chunks.
func TestAnswersStateTheirLength(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	text := ""
	r.route = func(context.Context, *kefu.Message) kefu.Decision {
		return kefu.Decision{Answer: kefu.Answer{Way: kefu.WayText, Text: text}}
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	longest := 0
	for i, size := range []int{1, 1000, 1700, 1750, 1800, 1850, 1900, 2000} {
		text = strings.Repeat("x", size)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+sign(), strings.NewReader(push(strconv.Itoa(i))))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if !strings.Contains(string(body), text) {
			t.Errorf("a text of %d bytes is not in the answer: %.60q", size, body)
		}
		if resp.ContentLength != int64(len(body)) || len(resp.TransferEncoding) > 0 {
			t.Errorf("an answer of %d bytes says %d, %v", len(body), resp.ContentLength, resp.TransferEncoding)
		}
		longest = max(longest, len(body))
	}
	if longest < 2100 {
		t.Errorf("the longest answer has %d bytes, which says nothing of those that net/http cannot hold back", longest)
	}
}
