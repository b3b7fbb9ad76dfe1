package wechat

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/silenceper/wechat/v2/util"
)

const (
	testAppID  = "wx0000000000000001"
	testToken  = "demo-token"
	testKey    = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" // its last character has loose bits
	testOldKey = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
)

func mustKey(t testing.TB, encoded string) *cipherKey {
	t.Helper()
	k, err := newCipherKey(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNewCipherKey(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, key, want string }{
		{"loose bits", testKey, ""},
		{"no loose bits", strings.Repeat("A", 43), ""},
		{"base64 beyond the documented letters", strings.Repeat("+/", 21) + "A", ""},
		{"short", testKey[1:], "42 characters"},
		{"long", testKey + "=", "44 characters"},
		{"empty", "", "0 characters"},
		{"foreign character", "!" + testKey[1:], "no EncodingAESKey has"},
		{"line break that base64 would skip", testKey[1:] + "\n", "no EncodingAESKey has"},
		{"padding inside", testKey[1:] + "=", "no EncodingAESKey has"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newCipherKey(tt.key)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if len(tt.key) > 8 && strings.Contains(err.Error(), tt.key[4:12]) {
				t.Errorf("error prints the key: %v", err)
			}
		})
	}
}

// Another implementation reads what ours writes and the other way round, for
// every length of padding.
func TestCipherAgainstOther(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for size := range 200 {
		message := make([]byte, size)
		random := make([]byte, randomSize)
		for i := range message {
			message[i] = byte(rng.Uint32())
		}
		for i := range random {
			random[i] = byte(rng.Uint32())
		}
		for _, encoded := range []string{testKey, testOldKey} {
			theirs, err := util.EncryptMsg(random, message, testAppID, encoded)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := mustKey(t, encoded).encrypt(new([]byte), bytes.NewReader(random), message, []byte(testAppID))
			ours := string(sealed)
			if err != nil || ours != string(theirs) {
				t.Fatalf("%d bytes: encrypt = %q, %v, want %q", size, ours, err, theirs)
			}
			raw, err := base64.StdEncoding.DecodeString(ours)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := mustKey(t, encoded).decrypt(raw, []byte(testAppID))
			if !ok || !bytes.Equal(got, message) {
				t.Fatalf("%d bytes: decrypt = %q, %t", size, got, ok)
			}
			gotRandom, gotTheirs, err := util.DecryptMsg(testAppID, ours, encoded)
			if err != nil || !bytes.Equal(gotTheirs, message) || !bytes.Equal(gotRandom, random) {
				t.Fatalf("%d bytes: the other reads %q, %v", size, gotTheirs, err)
			}
		}
	}
}

func TestSignAgainstOther(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	text := func() string {
		b := make([]byte, rng.IntN(40))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return string(b)
	}
	for i := range 500 {
		token, timestamp, nonce, ciphertext := text(), strconv.Itoa(rng.Int()), text(), text()
		// Where it stands among the others, and beside one that is equal, a part of it, or empty.
		switch i % 10 {
		case 0:
			ciphertext = token
		case 1:
			ciphertext = nonce + "x"
		case 2:
			nonce, ciphertext = "", "\x00"+ciphertext
		case 3:
			ciphertext = "\xff" + ciphertext
		}
		if got, want := signed(token, timestamp, nonce), util.Signature(token, timestamp, nonce); got != want {
			t.Fatalf("signed(%q, %q, %q) = %s, want %s", token, timestamp, nonce, got, want)
		}
		want := util.Signature(token, timestamp, nonce, ciphertext)
		asText, asBytes := signatureOf(nil, ciphertext, token, timestamp, nonce), signatureOf(nil, []byte(ciphertext), token, timestamp, nonce)
		if got := signed(token, timestamp, nonce, ciphertext); got != want || string(asText[:]) != want || string(asBytes[:]) != want {
			t.Fatalf("sign of four = %s, %s, %s, want %s", got, asText, asBytes, want)
		}
	}
}

// packed is a decrypted text with its parts as given, however wrong.
type packed struct {
	length   uint32
	message  string
	receiver string
	padding  []byte
}

func (p packed) encrypt(t testing.TB) string {
	t.Helper()
	text := binary.BigEndian.AppendUint32(bytes.Repeat([]byte{'r'}, randomSize), p.length)
	text = append(append(append(text, p.message...), p.receiver...), p.padding...)
	key := mustKey(t, testKey)
	if len(text)%16 != 0 {
		t.Fatalf("%d bytes are no whole blocks", len(text))
	}
	return base64.StdEncoding.EncodeToString(encryptBlocks(key, text))
}

func repeat(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// Whatever is wrong with a ciphertext, the answer is the same to the letter.
func TestDecryptRefuses(t *testing.T) {
	t.Parallel()
	const (
		message = "0123456789" // with header and app id 48 bytes
		size    = uint32(len(message))
		fill    = 16
	)
	good := packed{size, message, testAppID, repeat(fill, fill)}
	oneWrong := repeat(fill, fill)
	oneWrong[0]++
	tests := map[string]string{
		"pad 0":                              packed{size, message, testAppID, repeat(0, fill)}.encrypt(t),
		"pad 33":                             packed{size, message, testAppID, repeat(33, fill)}.encrypt(t),
		"pad 255":                            packed{size, message, testAppID, repeat(255, fill)}.encrypt(t),
		"pad 48, all of it":                  packed{size, message, testAppID, repeat(48, 48)}.encrypt(t),
		"pad too short":                      packed{size, message, testAppID, repeat(fill-1, fill)}.encrypt(t),
		"pad too long":                       packed{size, message, testAppID, repeat(fill+1, fill)}.encrypt(t),
		"pad 32 into the header":             packed{size, message, testAppID, repeat(32, fill)}.encrypt(t),
		"pad of other bytes":                 packed{size, message, testAppID, oneWrong}.encrypt(t),
		"length one less":                    packed{size - 1, message, testAppID, repeat(fill, fill)}.encrypt(t),
		"length one more":                    packed{size + 1, message, testAppID, repeat(fill, fill)}.encrypt(t),
		"length 0":                           packed{0, message, testAppID, repeat(fill, fill)}.encrypt(t),
		"length over all":                    packed{1 << 20, message, testAppID, repeat(fill, fill)}.encrypt(t),
		"length of the sign bit":             packed{1 << 31, message, testAppID, repeat(fill, fill)}.encrypt(t),
		"length -1":                          packed{1<<32 - 1, message, testAppID, repeat(fill, fill)}.encrypt(t),
		"length below 0 as the padding says": packed{1<<32 - 6, "", "", repeat(32, 44)}.encrypt(t),
		"other app id":                       packed{size, message, "wx0000000000000002", repeat(fill, fill)}.encrypt(t),
		"shorter app id":                     packed{size, message, testAppID[:17], repeat(fill+1, fill+1)}.encrypt(t),
		"longer app id":                      packed{size, message, testAppID + "0", repeat(fill-1, fill-1)}.encrypt(t),
		"no app id":                          packed{size, message, "", repeat(2, 2)}.encrypt(t),
		"not whole padding blocks":           packed{size + 16, message + "0123456789abcdef", testAppID, repeat(fill, fill)}.encrypt(t),
		"all of it padding":                  base64.StdEncoding.EncodeToString(repeat(7, 64)),
		"one block":                          base64.StdEncoding.EncodeToString(repeat(7, 32)),
		"nothing":                            "",
		"half a block":                       base64.StdEncoding.EncodeToString(repeat(7, 40)),
		"no base64":                          "!" + good.encrypt(t)[1:],
	}
	for bit := range 8 * len(testAppID) {
		other := []byte(testAppID)
		other[bit/8] ^= 1 << (bit % 8)
		tests["app id bit "+strconv.Itoa(bit)] = packed{size, message, string(other), repeat(fill, fill)}.encrypt(t)
	}

	c := mustCodec(t, CodecOptions{Encryption: Safe})
	if got, _, err := c.decrypt(new([]byte), good.encrypt(t)); err != nil || string(got) != message {
		t.Fatalf("the right one: %q, %v", got, err)
	}
	for name, ciphertext := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, key, err := c.decrypt(new([]byte), ciphertext)
			if !errors.Is(err, ErrUnreadable) || err.Error() != errCiphertext.Error() {
				t.Errorf("error %v, want %v", err, errCiphertext)
			}
			if got != nil || key != nil {
				t.Errorf("gives %q all the same", got)
			}
		})
	}
}

// A padding of 0 is none, even where the receiver ends as it would.
func TestDecryptWithoutPadding(t *testing.T) {
	t.Parallel()
	const message, receiver = "0123456", "wx00\x00"
	text := packed{uint32(len(message)), message, receiver, nil}.encrypt(t)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := mustKey(t, testKey).decrypt(raw, []byte(receiver)); ok {
		t.Errorf("decrypt = %q, want a refusal", got)
	}
}

func TestEncryptWithoutRandom(t *testing.T) {
	t.Parallel()
	got, err := mustKey(t, testKey).encrypt(new([]byte), strings.NewReader("short"), []byte("m"), []byte(testAppID))
	if err == nil || got != nil {
		t.Errorf("encrypt = %q, %v, want an error", got, err)
	}
}

func encryptBlocks(key *cipherKey, text []byte) []byte {
	out := make([]byte, len(text))
	copy(out, text)
	key.encrypter.crypt(out)
	return out
}

func decryptBlocks(key *cipherKey, ciphertext []byte) []byte {
	out := make([]byte, len(ciphertext))
	copy(out, ciphertext)
	key.decrypter.crypt(out)
	return out
}

func signed(items ...string) string {
	s := signatureOf(nil, "", items...)
	return string(s[:])
}
