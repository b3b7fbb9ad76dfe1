package store

import (
	"crypto/sha1" //nolint:gosec // it tells customers apart, it guards nothing
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"kefud/kefu"
)

// A mark is the beginning of SHA-1 of "app user", so many bytes: scripts can make it, too.
// The chance that any two of 100 million customers have one partition and one mark is one
// in three million, with 1,024 partitions.
const markBytes = 8

// A mark tells a customer from the others of his partition.
type mark [markBytes]byte

// A pushMark is XXH64 of "app user", a zero byte and the push's key, and behind it a byte of
// the customer's mark: eight are enough for the pushes of one, but not for those of all. No
// script makes one, and SHA-1 would take ten times as long.
type pushMark [8 + 1]byte

// marks gives a customer's mark and that of a push of his, one piece of work for who needs both.
func marks(c kefu.CustomerID, m kefu.MessageKey) (mark, pushMark) {
	var room [256]byte
	text := appendMember(room[:0], c)
	who := sum(text)
	var push pushMark
	binary.BigEndian.PutUint64(push[:], xxhash.Sum64(append(append(text, 0), m...)))
	push[8] = who[0]
	return who, push
}

func markOf(c kefu.CustomerID) mark {
	var room [256]byte
	return sum(appendMember(room[:0], c))
}

func sum(member []byte) mark {
	s := sha1.Sum(member) //nolint:gosec // as above
	return mark(s[:markBytes])
}

// appendMember is member behind b. In room for 256 bytes the longest openid fits, with what
// else is digested.
func appendMember(b []byte, c kefu.CustomerID) []byte {
	return append(append(append(b, c.App...), ' '), c.User...)
}

// base64url spells a mark, behind b, as it stands in keys.
func base64url(b, mark []byte) []byte { return base64.RawURLEncoding.AppendEncode(b, mark) }

// markNumber names a customer among those who have a seat or wait for one.
func markNumber(c kefu.CustomerID) string {
	s := markOf(c)
	return strconv.FormatInt(int64(binary.BigEndian.Uint64(s[:])), 10) //nolint:gosec // a number as good as another
}
