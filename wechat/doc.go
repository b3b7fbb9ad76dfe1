// Package wechat is everything WeChat on the wire, both ends of it.
//
// A [Codec] opens the pushes of one app (signature, envelope, message) and
// seals their answers. It knows bytes and not HTTP: handler reads and writes.
// A [Client] calls WeChat's API for all apps: it owns the access tokens, and
// the judgement of what an error code means for a retry.
//
// WeChat's own words (openid, kf_account, errcode) end here. What leaves this
// package are nouns of package kefu, and errors that hold no secret, no text of
// a customer and nothing a signature could be made from.
package wechat
