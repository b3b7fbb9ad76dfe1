package handler

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"
)

const maxLinkBody = 4 << 10

// link tells a mini-program which page to open for an entry.
func (h *handler) link(c *gin.Context) {
	var ask struct {
		CustomerID json.RawMessage `json:"customerId"`
	}
	var body bytes.Buffer
	err := h.read(c, &body, maxLinkBody)
	if err == nil {
		err = json.NewDecoder(&body).Decode(&ask)
	}
	if err != nil {
		c.JSON(http.StatusBadRequest, gin.H{"success": false, "message": `请求应为 JSON，例如 {"customerId":"cs1"}`})
		return
	}
	url, found := h.Link(plain(ask.CustomerID))
	if !found {
		c.JSON(http.StatusNotFound, gin.H{"success": false, "message": "客服ID无效"})
		return
	}
	c.JSON(http.StatusOK, gin.H{"success": true, "url": url})
}

// plain gives a JSON value as text: a string without its quotes, anything else as
// it stands, since a tag like 1001 is easily sent as a number.
func plain(value json.RawMessage) string {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return string(value)
	}
	return text
}
