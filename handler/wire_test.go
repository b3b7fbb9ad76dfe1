package handler

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

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

// Whoever is refused is answered before his body has come, and nobody waits for it: the
// connection is closed then, and else it is kept.
func TestNobodyWaitsForABodyThatIsNotRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	forged := strings.Replace(sign(), "nonce=", "nonce=x", 1)
	for _, tt := range []struct {
		name, method, target, body string
		length                     int // as stated
		status                     int
		closes                     bool
	}{
		{"a push", http.MethodPost, sign(), push("1"), len(push("1")), http.StatusOK, false},
		{"a push that is none", http.MethodPost, sign(), "junk", 4, http.StatusBadRequest, false},
		{"a push without a body", http.MethodPost, forged, "", 0, http.StatusForbidden, false},
		{"a forged push", http.MethodPost, forged, "", 100, http.StatusForbidden, true},
		{"a push that is too large", http.MethodPost, sign(), "", maxBody + 1, http.StatusRequestEntityTooLarge, true},
		{"a push to nobody", http.MethodPost, "/wechat/nobody", "", 100, http.StatusNotFound, true},
		{"a push that breaks us", http.MethodPost, "/wechat/broken", "", 100, http.StatusOK, true},
		{"a question", http.MethodGet, sign("echostr", "x"), "", 0, http.StatusOK, false},
		{"a question with a body", http.MethodGet, sign("echostr", "x"), "", 100, http.StatusOK, true},
		{"a mini-program's question", http.MethodPost, "/api/getCustomerServiceUrl", `{"customerId":"cs1"}`, 20, http.StatusOK, false},
		{"another method", http.MethodPut, sign(), "", 100, http.StatusMethodNotAllowed, true},
		{"another path", http.MethodPost, "/elsewhere", "", 100, http.StatusNotFound, true},
		{"a probe", http.MethodGet, "/healthz", "", 100, http.StatusOK, true},
		{"administration", http.MethodPost, "/api/v1/agents/wang/invitation", "", 100, http.StatusUnauthorized, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }() // nothing is lost
			if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", tt.method, tt.target, tt.length, tt.body); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			defer func() { _ = resp.Body.Close() }() // as above
			if resp.StatusCode != tt.status || resp.Close != tt.closes {
				t.Fatalf("status %d, closes %t; want %d, %t", resp.StatusCode, resp.Close, tt.status, tt.closes)
			}
			if !tt.closes {
				return
			}
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("the connection is held for a body that does not come: %v", err)
			}
		})
	}
}
