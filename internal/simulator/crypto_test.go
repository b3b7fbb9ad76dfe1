package simulator

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"
	"testing"
)

// What Tencent publishes, byte for byte.
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html, read 2026-11.
const (
	sampleToken = "AAAAA"
	sampleKey   = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	sampleApp   = "wxba5fad812f8e6fb9"
)

func TestSign(t *testing.T) {
	t.Parallel()
	push, reply := sealedVectors()[0], sealedVectors()[1]
	tests := []struct {
		name  string
		parts []string
		want  string
	}{
		{"URL check", []string{sampleToken, "1714036504", "1514711492"}, "f464b24fc39322e44b38aa78f5edd27bd1441696"},
		{"plain push", []string{sampleToken, "1714037059", "486452656"}, "899cf89e464efb63f54ddac96b0a0a235f53aa78"},
		{"sealed push, signature", []string{sampleToken, "1714112445", "415670741"}, "6c5c811b55cc85e0e1b54100749188c20beb3f5d"},
		{"sealed push, msg_signature", []string{sampleToken, "1714112445", "415670741", push.sealed}, "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"},
		{"sealed reply", []string{sampleToken, "1713424427", "415670741", reply.sealed}, "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"},
		{"a token like any other", []string{"token1234567890", "1458864389", "2066297436"}, "f9c725922f6844701ba71e98031978e40023c09f"}, // github:chanxuehong/wechat@3ccc67d5e12d:internal/util/sign_test.go
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sign(tt.parts...); got != tt.want {
				t.Errorf("sign = %s, want %s", got, tt.want)
			}
		})
	}
}

type sealedVector struct{ name, key, salt, clear, app, sealed string }

func sealedVectors() []sealedVector {
	return []sealedVector{
		{
			"push", sampleKey, "a8eedb185eb2fecf",
			`{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}`,
			sampleApp,
			"+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04=",
		},
		{
			"reply", sampleKey, "707722b803182950", `{"demo_resp":"good luck"}`, sampleApp,
			"ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==",
		},
		{
			// A key with loose last bits. github:wechatpy/wechatpy@5b8502e3bc4a:tests/test_crypto.py
			"loose key", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR", "2304fc2fe146f1f8", "5927782489442352469", "wx49f0ab532d5d035a",
			"4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==",
		},
	}
}

func TestSealedVectors(t *testing.T) {
	t.Parallel()
	for _, v := range sealedVectors() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			key, err := parseKey(v.key)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := encrypt(key, []byte(v.salt), []byte(v.clear), v.app)
			if err != nil || sealed != v.sealed {
				t.Errorf("encrypt = %s, %v", sealed, err)
			}
			text, err := decrypt(key, v.sealed, v.app)
			if err != nil || string(text) != v.clear {
				t.Errorf("decrypt = %s, %v", text, err)
			}
		})
	}
}

func TestDecryptRefuses(t *testing.T) {
	t.Parallel()
	key, _ := parseKey(sampleKey)
	other, _ := parseKey(strings.Repeat("b", keyChars))
	good := sealedVectors()[1].sealed
	raw := func(text string) string { // seals any plaintext, right or wrong
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		sealed := []byte(text)
		cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(sealed, sealed)
		return base64.StdEncoding.EncodeToString(sealed)
	}
	tests := []struct {
		name, sealed, app string
		key               []byte
		want              string
	}{
		{"no base64", "&&", sampleApp, key, "not base64"},
		{"nothing", "", sampleApp, key, "not a multiple of 32"},
		{"half of it", raw(strings.Repeat("a", 16)), sampleApp, key, "not a multiple of 32"},
		{"another key", good, sampleApp, other, "not padded"},
		{"padded with 0", raw(strings.Repeat("a", 31) + "\x00"), sampleApp, key, "not padded"},
		{"padded unevenly", raw(strings.Repeat("a", 31) + "\x02"), sampleApp, key, "not padded"},
		{"no header", raw(strings.Repeat("\x20", 32)), sampleApp, key, "too short"},
		{"a length beyond the end", raw("0123456789abcdef\x00\x00\x00\x0cmessagewxx0\x01"), sampleApp, key, "more than there is"},
		{"another app", good, "wx0000000000000000", key, "app id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := decrypt(tt.key, tt.sealed, tt.app); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("decrypt = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "short", strings.Repeat("a", 44), strings.Repeat("-", 43)} {
		if _, err := parseKey(key); err == nil {
			t.Errorf("parseKey(%q) takes it", key)
		}
	}
}
