package wechat

import (
	"encoding/base64"
	"encoding/json"
	"testing"
)

// Answers in JSON are what encoding/json writes.
func FuzzReplyJSON(f *testing.F) {
	f.Add("oABC", "gh_1", int64(1700000000), "文字 <&> \u2028\"\\\n\x7f\xff", "kf2001@gh_1")
	f.Add("", "", int64(-1), "", "")
	f.Fuzz(func(t *testing.T, to, from string, at int64, content, account string) {
		r := reply{ToUserName: to, FromUserName: from, CreateTime: at, MsgType: textType, Content: content, TransInfo: transInfo{account}}
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.write(nil, formatJSON); string(got) != string(want) {
			t.Errorf("write = %s, want %s", got, want)
		}
		ciphertext := base64.StdEncoding.EncodeToString([]byte(content))
		e := encryptedReply{Encrypt: []byte(ciphertext), MsgSignature: signatureOf(nil, "", from), TimeStamp: at, Nonce: to}
		want, err = json.Marshal(struct {
			Encrypt, MsgSignature string
			TimeStamp             int64
			Nonce                 string
		}{ciphertext, string(e.MsgSignature[:]), at, to})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.write(nil, formatJSON); string(got) != string(want) {
			t.Errorf("write = %s, want %s", got, want)
		}
	})
}
