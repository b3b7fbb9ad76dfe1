package wechat

import (
	"errors"
	"fmt"
	"time"

	"kefud/kefu"
)

// An APIError is a call of WeChat's API that did not succeed: refused with an
// errcode, or left without a proper answer. Every error of Client is one. It
// never holds a token, a secret, an openid, a message text or a URL.
type APIError struct {
	Op     string     // "send", "typing", "online_list", "media_get", "media_upload", "staff", "callback_addresses" or "token"
	App    kefu.AppID // as named in config.yaml
	Code   int        // WeChat's errcode; 0 if there was none
	Status int        // HTTP status; 0 if there was no answer
	Msg    string     // for a human, at most 200 bytes; never to be compared

	fault verdict       // what is wrong when Code says nothing
	wait  time.Duration // see RetryAfter
	maybe bool          // see MaybeSent

	untried bool  // the call was not made
	cause   error // context.Canceled, context.DeadlineExceeded or nil
}

// Error gives operation, app, code, what WeChat said, and the reason.
func (e *APIError) Error() string {
	text := fmt.Sprintf("%s for app %s: ", e.Op, e.App)
	switch {
	case e.Code != 0:
		text += fmt.Sprintf("errcode %d: ", e.Code)
	case e.Status != 0:
		text += fmt.Sprintf("HTTP status %d: ", e.Status)
	}
	if e.Msg != "" {
		text += e.Msg + " "
	}
	return text + "(" + e.Reason() + ")"
}

// Unwrap gives context.Canceled or context.DeadlineExceeded if the call ended
// by that, else nil. Other causes are not kept: their texts hold the URL.
func (e *APIError) Unwrap() error { return e.cause }

// Retryable reports whether the same call can succeed later, when nothing but
// time has passed.
func (e *APIError) Retryable() bool {
	c := e.verdict().class
	return c == classRetry || c == classToken || c == classApp
}

// RetryAfter is how long to wait at least before the next try; 0 leaves it to
// the caller's backoff.
func (e *APIError) RetryAfter() time.Duration { return e.wait }

// Reason is a stable word for logs, metrics and burials, such as "unauthorized".
func (e *APIError) Reason() string { return e.verdict().reason }

// ErrCode is WeChat's errcode, 0 if there was none.
func (e *APIError) ErrCode() int { return e.Code }

// MaybeSent reports whether the message may have been delivered although the
// call failed: it had gone out, or may have, and no errcode came back.
func (e *APIError) MaybeSent() bool { return e.maybe }

// AllowanceGone reports whether WeChat takes no more messages for this customer
// until he acts again.
func (e *APIError) AllowanceGone() bool { return e.verdict().class == classAllowance }

func (e *APIError) verdict() verdict {
	if e.fault.reason != "" {
		return e.fault
	}
	return judge(e.Code)
}

// answered reports whether WeChat itself answered, if not as was hoped.
func (e *APIError) answered() bool {
	return e.Code != 0 || e.fault == faultMedia || e.fault == faultTooLarge
}

// taken reports whether WeChat looked at the call: what is wrong with it is not
// what refuses the app as a whole.
func (e *APIError) taken() bool {
	switch e.verdict().class {
	case classBury, classAllowance:
		return e.answered()
	}
	return false
}

// mediaRefused reports whether WeChat does not have the picture it was to send.
func mediaRefused(err error) bool {
	e, ok := errors.AsType[*APIError](err)
	return ok && e.Code == codeBadMedia
}

// A class says what an errcode means for whoever owes the call.
type class uint8

const (
	classOK        class = iota
	classToken           // the access token is refused: another token, and once more
	classRetry           // passes by itself
	classApp             // refused whatever is in it, until a day is over or a human has acted
	classAllowance       // nothing more may be sent to this customer until he acts
	classBury            // no repeat helps; a human has to act
)

// A verdict is what is to be done about an errcode, or about a call without one.
type verdict struct {
	class  class
	reason string
}

// The verdicts on calls that got no errcode.
var (
	faultTransport = verdict{class: classRetry, reason: "transport"}    // no connection, or it broke
	faultTimeout   = verdict{class: classRetry, reason: "timeout"}      // no answer in time
	faultCanceled  = verdict{class: classRetry, reason: "canceled"}     // the caller gave up
	faultStatus    = verdict{class: classRetry, reason: "http_status"}  // something before WeChat, or its front, is in trouble
	faultAnswer    = verdict{class: classRetry, reason: "bad_answer"}   // a page, or JSON that is cut, or too long
	faultMedia     = verdict{class: classBury, reason: "bad_media"}     // an answer, but not with a picture
	faultTooLarge  = verdict{class: classBury, reason: "too_large"}     // a picture over maxPicture
	faultBreaker   = verdict{class: classRetry, reason: "breaker_open"} // not tried: the last calls got no answer
	faultSecret    = verdict{class: classBury, reason: "no_secret"}
	faultApp       = verdict{class: classBury, reason: "unknown_app"}
	faultRequest   = verdict{class: classBury, reason: "bad_request"}
)

const codeBadMedia = 40007 // unknown media_id, or another app's, or older than 3 days

// judge is the only place that knows what an errcode asks for.
//
// WeChat, https://developers.weixin.qq.com/doc/channels/API/basics/commErrCode.html,
// https://mp.weixin.qq.com/debug/wxadoc/dev/api/custommsg/callback_help.html,
// https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html and
// https://developers.weixin.qq.com/doc/service/api/customer/messctrl/api_createkfsession,
// read 2026-11.
//
// A code that is not here is not retried: WeChat adds codes for requests it
// will not serve, and repeating one blindly eats the quota of those it would.
func judge(code int) verdict {
	switch code {
	case 0:
		return verdict{class: classOK, reason: "ok"}
	case -1: // system busy, retry later
		return verdict{class: classRetry, reason: "busy"}
	case 40001, 40014, 41001, 42001: // invalid or not the latest, bad, missing, expired
		return verdict{class: classToken, reason: "token"}
	case 45009, 45011: // quota of the day, of the minute
		return verdict{class: classApp, reason: "quota"}
	case 40164, 89503, 89506, 89507: // caller's IP: not listed, awaits the administrator, refused for 24 h, for 1 h
		return verdict{class: classApp, reason: "ip_not_allowed"}
	case 43004: // the user does not follow the official account
		return verdict{class: classAllowance, reason: "not_following"}
	case 45015: // the window to answer is over, or the customer has left
		return verdict{class: classAllowance, reason: "out_of_window"}
	case 45047: // the number of messages is used up
		return verdict{class: classAllowance, reason: "out_of_count"}
	case 61459, 65415: // the agent named is not online; he may come back
		return verdict{class: classRetry, reason: "agent_offline"}
	}
	return verdict{class: classBury, reason: refusal(code)}
}

// refusal gives the reason word for an errcode that a human has to see to.
func refusal(code int) string {
	switch code {
	case 40003: // openid of another app
		return "bad_openid"
	case 40013, 41002: // bad, missing appid
		return "bad_app_id"
	case 40125, 40243, 41004: // bad, frozen, missing secret
		return "bad_secret"
	case 43104, 48001: // the app has no permission for this API
		return "unauthorized"
	case 48006: // clear_quota used up
		return "quota_resets_used"
	case 40004, 40005, codeBadMedia, 41005, 41006, 44001: // media: bad type, bad kind of file, bad id, no data, no id, empty
		return "bad_media"
	case 40006, 40009, 45001, 45002: // size of a file, of a picture, of media, of a message
		return "too_large"
	case 50002: // user limited: the account is restricted
		return "limited"
	case 40002, 45072, 47001, 65416, 65417: // bad grant_type, command, JSON, parameter, time range
		return "bad_request"
	case 45080, 45081: // typing: no exchange in the last 30 s, already typing
		return "typing"
	case 65400: // customer service is not enabled
		return "desk_disabled"
	case 65401, 65402, 65403, 65404, 65409, 65412: // agent: no such account, not bound, bad nickname, bad name, bad WeChat id, bound already
		return "bad_agent"
	case 65405, 65410: // agents: too many, bound to too many
		return "agent_limit"
	case 65406, 65407, 65408, 65411: // agents: account exists, worker already, invited already, invitation pending
		return "agent_exists"
	case 61458, 65414: // another agent serves the customer
		return "served_by_other"
	case 65413: // no session for the customer
		return "no_session"
	default:
		return "errcode"
	}
}
