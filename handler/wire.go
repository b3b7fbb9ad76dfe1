package handler

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// These values of headers all answers share. Nobody changes one in place.
var (
	closing = []string{"close"}
	typed   = shared("text/plain; charset=utf-8", "text/xml; charset=utf-8", "application/json; charset=utf-8")
)

func shared(values ...string) map[string][]string {
	m := make(map[string][]string, len(values))
	for _, value := range values {
		m[value] = []string{value}
	}
	return m
}

// closeUnread has the connection closed after the answer, unless read takes what
// the request brings along. net/http would wait for that first, and answer nobody
// until it has come: a refusal would cost whoever is refused nothing, and us a
// connection for as long as he likes. Pushes, which are read as a rule, only come to it
// when they are refused.
func closeUnread(c *gin.Context) {
	if c.Request.ContentLength != 0 {
		c.Writer.Header()["Connection"] = closing
	}
}

// leaveUnread has what nobody has read closed, and soon: behind the answer net/http takes
// in what comes, for as long as a request may take, and whoever sends nothing would hold a
// connection that is not quiet and gives way to nobody. Who does send hears the answer. It
// stands around recoverPanic, for what breaks has left its body unread as well.
func leaveUnread(c *gin.Context) {
	if c.Request.Method != http.MethodPost || c.FullPath() != callbackPath {
		closeUnread(c)
	}
	c.Next()
	if c.Request.ContentLength != 0 {
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(courtesy)) // a writer of tests has none
	}
}

// read takes a body of so many bytes at most. One that says its length is held to
// it by net/http.
func (h *handler) read(c *gin.Context, into *bytes.Buffer, limit int64) error {
	body := c.Request.Body
	switch size := c.Request.ContentLength; {
	case size > limit: // what cannot be taken is not waited for
		return &http.MaxBytesError{Limit: limit}
	case size < 0:
		body = http.MaxBytesReader(c.Writer, body, limit)
	}
	_, err := into.ReadFrom(body)
	if err == nil {
		c.Request.ContentLength = 0 // nothing is left to be read, nor to be looked for
		delete(c.Writer.Header(), "Connection")
		h.part(c)
	}
	return err
}

// buffers hold bodies while they are read. What is larger than pushes are is not
// kept.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxKept = 16 << 10

func takeBuffer() *bytes.Buffer {
	b, _ := buffers.Get().(*bytes.Buffer) // nothing else is in it
	return b
}

func putBack(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		b.Reset()
		buffers.Put(b)
	}
}

// write answers a push. net/http states the length of what it can hold back until
// the end, and has room for 2048 bytes.
func write(c *gin.Context, contentType string, body []byte) {
	const held = 2048
	header := c.Writer.Header()
	if value, ok := typed[contentType]; ok {
		header["Content-Type"] = value
	} else {
		header.Set("Content-Type", contentType)
	}
	if len(body) >= held {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.Status(http.StatusOK)
	_, _ = c.Writer.Write(body) // who has hung up is told nothing
}
