package store

import (
	"crypto/sha1" //nolint:gosec // it tells customers and pushes apart, it guards nothing
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"kefud/kefu"
)

// Of SHA-1, what names the customers of a partition, and their pushes of a minute. Of 100
// million customers in 1,024 partitions no two share a mark, with odds of a million to one.
const markBytes, pushBytes = 8, 9

// sums gives SHA-1 of what a customer's mark is made of, and of a push's digest.
func sums(c kefu.CustomerID, m kefu.MessageKey) (customer, push [sha1.Size]byte) { //nolint:nonamedreturns // two of one kind
	var room [128]byte // most names fit
	text := append(append(append(room[:0], c.App...), ' '), c.User...)
	customer = sha1.Sum(text)                                //nolint:gosec // as above
	return customer, sha1.Sum(append(append(text, 0), m...)) //nolint:gosec // as above
}

// letters spells the beginning of a sum as it stands in keys, in room that is given.
func letters(room []byte, sum []byte) []byte {
	return base64.RawURLEncoding.AppendEncode(room[:0], sum)
}

// seated names a customer among those who have or wait for a seat.
func seated(c kefu.CustomerID) string {
	sum, _ := sums(c, "")
	return strconv.FormatInt(int64(binary.BigEndian.Uint64(sum[:])), 10) //nolint:gosec // a number as good as another
}
