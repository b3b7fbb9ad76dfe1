package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText is the bytes of a text. Of a passive reply, older editions of the
// documents said 2048, and the current one says nothing. Of message/custom/send
// it is known that there is a limit and its errcode, but not where it is: taken
// to be the same.
// https://developers.weixin.qq.com/community/develop/doc/000ae00ca68c086ba4b0fb4996bc00, read 2026-11.
const maxText = 2048

// What a message of each type must and may hold:
// https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage, read 2026-11.
type shape struct{ must, may []string }

func shapes() map[string]shape {
	return map[string]shape{
		"text":            {must: []string{"content"}},
		"image":           {must: []string{"media_id"}},
		"link":            {must: []string{"title", "description", "url", "thumb_url"}},
		"miniprogrampage": {must: []string{"title", "pagepath", "thumb_media_id"}, may: []string{"appid"}},
	}
}

// escaped reports whether JSON writes a character as \uXXXX without need. It is
// needed for control characters; some encoders also do it for the two line
// separators, U+2028 and U+2029.
func escaped(text []byte) bool {
	for i := 0; i+5 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		if text[i] != 'u' {
			continue
		}
		code, err := strconv.ParseUint(string(text[i+1:i+5]), 16, 16)
		if err == nil && code >= ' ' && code != 0x2028 && code != 0x2029 {
			return true
		}
	}
	return false
}

// send is POST /cgi-bin/message/custom/send.
func (b *Box) send(c call) (any, problem) {
	var in map[string]json.RawMessage
	if !utf8.Valid(c.body) || json.Unmarshal(c.body, &in) != nil {
		return nil, b.malformed(c, badJSON, "the body is not JSON in UTF-8")
	}
	if escaped(c.body) {
		return nil, b.malformed(c, problem{40033, "invalid charset. please check your request, if include \\uxxxx will create fail!"}, `characters are written \uXXXX`)
	}
	to, kind := str(in["touser"]), str(in["msgtype"])
	customer := c.account.customers[to]
	if customer == nil {
		return nil, problem{40003, "invalid openid"}
	}
	content, p := b.content(c, kind, in)
	if p.code != 0 {
		return nil, p
	}
	now := b.opts.Now()
	switch {
	case now.After(customer.until):
		return nil, problem{45015, "response out of time limit or subscription is canceled"}
	case customer.left == 0:
		return nil, problem{45047, "out of response count limit"}
	}
	customer.left--
	customer.typing = time.Time{} // a message cancels it
	customer.spoke = now
	shown, _ := c.account.medium(cmp.Or(content["media_id"], content["thumb_media_id"]))
	customer.receive(Received{From: FromAPI, Type: kind, Text: readable(kind, content), Media: shown.bytes})
	return nil, problem{}
}

// content checks a message and returns what it holds.
func (b *Box) content(c call, kind string, in map[string]json.RawMessage) (map[string]string, problem) {
	shape, ok := shapes()[kind]
	if !ok {
		return nil, b.malformed(c, problem{40008, "invalid message type"}, fmt.Sprintf("there is no msgtype %q", kind))
	}
	for name := range in {
		official := name == "customservice" && c.account.o.Kind == OfficialAccount
		if name != "touser" && name != "msgtype" && name != kind && !official {
			return nil, b.malformed(c, badJSON, fmt.Sprintf("unknown element %s", name))
		}
	}
	content, p := b.filled(c, kind, shape, in[kind])
	if p.code != 0 {
		return nil, p
	}
	if len(content["content"]) > maxText {
		return nil, b.malformed(c, problem{45002, "content size out of limit"}, fmt.Sprintf("a text of more than %d bytes", maxText))
	}
	for _, name := range []string{"media_id", "thumb_media_id"} {
		if _, ok := c.account.medium(content[name]); content[name] != "" && !ok {
			return nil, badMedia
		}
	}
	return content, problem{}
}

// filled reads what a message of a type holds and checks it against its shape.
func (b *Box) filled(c call, kind string, shape shape, raw json.RawMessage) (map[string]string, problem) {
	var content map[string]string
	if json.Unmarshal(raw, &content) != nil {
		return nil, b.malformed(c, badJSON, fmt.Sprintf("%s is missing, or holds more than texts", kind))
	}
	known := make(map[string]bool)
	for _, name := range shape.may {
		known[name] = true
	}
	for _, name := range shape.must {
		known[name] = true
		if content[name] != "" {
			continue
		}
		if name == "content" {
			return nil, b.malformed(c, problem{44004, "empty content"}, "text.content is empty")
		}
		return nil, b.malformed(c, badJSON, fmt.Sprintf("%s.%s is missing or empty", kind, name))
	}
	for name := range content {
		if !known[name] {
			return nil, b.malformed(c, badJSON, fmt.Sprintf("unknown element %s.%s", kind, name))
		}
	}
	return content, problem{}
}

// malformed writes down that a call broke a rule of its form.
func (b *Box) malformed(c call, p problem, what string) problem {
	b.fault(Fault{Account: c.account.o.Name, What: c.path + ": " + what})
	return p
}

// readable is what a customer sees of a message.
func readable(kind string, content map[string]string) string {
	for _, name := range []string{"content", "title", "media_id"} {
		if content[name] != "" {
			return content[name]
		}
	}
	return "[" + kind + "]"
}

// str reads a JSON text; "" if it is none.
func str(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// businessSend is POST /cgi-bin/message/custom/business/send, which is for
// accounts with sub-merchants.
// https://developers.weixin.qq.com/community/develop/doc/00062256a0cfd860954f3d71f51400, read 2026-11.
func (b *Box) businessSend(call) (any, problem) {
	return nil, problem{40101, "missing parameter"}
}

// Typing:
// https://developers.weixin.qq.com/miniprogram/en/dev/api-backend/open-api/customer-message/customerServiceMessage.setTyping.html, read 2026-11.
const (
	typingLasts    = 15 * time.Second
	typingExchange = 30 * time.Second // since the last exchange with the customer
)

// typing is POST /cgi-bin/message/custom/typing and …/business/typing. The
// latter is for mini-programs only, the former is theirs by older pages.
// https://developers.weixin.qq.com/doc/service/api/customer/message/api_typing, read 2026-11.
func (b *Box) typing(c call) (any, problem) {
	if strings.Contains(c.path, "/business/") && c.account.o.Kind != MiniProgram {
		return nil, unauthorized
	}
	var in struct {
		ToUser  string `json:"touser"`
		Command string `json:"command"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		return nil, b.malformed(c, badJSON, "the body is not JSON")
	}
	customer, now := c.account.customers[in.ToUser], b.opts.Now()
	switch {
	case customer == nil:
		return nil, problem{40003, "invalid openid"}
	case in.Command != "Typing" && in.Command != "CancelTyping":
		return nil, b.malformed(c, problem{45072, "command error"}, "unknown command")
	case now.After(customer.until):
		return nil, problem{45015, "response out of time limit or subscription is canceled"}
	case now.Sub(customer.spoke) > typingExchange:
		return nil, problem{45080, "there is no message in the last 30 seconds"}
	case in.Command == "CancelTyping":
		customer.typing = time.Time{}
	case now.Before(customer.typing):
		return nil, problem{45081, "already in typing"}
	default:
		customer.typing = now.Add(typingLasts)
		customer.typed++
	}
	return nil, problem{}
}
