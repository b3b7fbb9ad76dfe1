package store

import (
	"crypto/sha1" //nolint:gosec // it tells customers and pushes apart, it guards nothing
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"kefud/kefu"
)

// A mark is the beginning of SHA-1 of "app user", so many bytes; a push's digest has one more,
// for there are more of them. The chance that any two of 100 million
// customers have one partition and one mark is one in three million, with 1,024 partitions.
const markBytes, pushBytes = 8, 9

// sums gives SHA-1 of a customer's name, and of that with the key of a push of his behind
// it, one piece of work for who needs both.
func sums(c kefu.CustomerID, m kefu.MessageKey) (customer, push [sha1.Size]byte) { //nolint:nonamedreturns // two of one kind
	var room [256]byte
	text := appendMember(room[:0], c)
	customer = sha1.Sum(text)                                //nolint:gosec // as above
	return customer, sha1.Sum(append(append(text, 0), m...)) //nolint:gosec // as above
}

func sum(c kefu.CustomerID) [sha1.Size]byte {
	var room [256]byte
	return sha1.Sum(appendMember(room[:0], c)) //nolint:gosec // as above
}

// appendMember is member behind b. In room for 256 bytes the longest openid fits, with what
// else is digested.
func appendMember(b []byte, c kefu.CustomerID) []byte {
	return append(append(append(b, c.App...), ' '), c.User...)
}

// base64url spells the beginning of a sum as it stands in keys, in room that is given.
func base64url(room []byte, sum []byte) []byte {
	return base64.RawURLEncoding.AppendEncode(room[:0], sum)
}

// markNumber names a customer among those who have a seat or wait for one.
func markNumber(c kefu.CustomerID) string {
	s := sum(c)
	return strconv.FormatInt(int64(binary.BigEndian.Uint64(s[:])), 10) //nolint:gosec // a number as good as another
}
