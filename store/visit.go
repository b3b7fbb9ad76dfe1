package store

import (
	"strconv"

	"kefud/kefu"
)

// A visit is what receive.lua needs of a push in every case, but for numbers.
type visit struct {
	partition                     int
	push, customer, lanes, bucket string
	last                          string // argument: the default entry, its sticky time (ms) and the customer's member, each on a line
}

// visit makes them all in one piece of memory, for there is one for every push. They are
// written down in room, which is used up and given back, with more if it had not enough.
func (k keys) visit(room []byte, r *kefu.Receipt) (visit, []byte) {
	d, parts, buckets := digest(r.Customer), uint64(k.partitions), uint64(k.buckets) //nolint:gosec // positive ints
	who, push := marks(r.Customer, r.Key)
	b := append(append(room[:0], k.prefix...), ":{"...)
	b = append(strconv.AppendUint(b, d%parts, 10), "}:"...)
	head := len(b)
	b = base64url(append(b, "push:"...), push[:])
	pushed := len(b)
	b = base64url(append(append(b, b[:head]...), "who:"...), who[:])
	customer := len(b)
	b = append(append(b, b[:head]...), "lanes"...)
	lanes := len(b)
	b = strconv.AppendUint(append(append(b, b[:head]...), "bucket:"...), d/parts%buckets, 10)
	bucket := len(b)
	b = append(append(b, r.Default...), '\n')
	b = append(strconv.AppendInt(b, r.DefaultSticky.Milliseconds(), 10), '\n')
	b = appendMember(b, r.Customer)
	text := string(b)
	return visit{
		partition: int(d % parts), //nolint:gosec // smaller than an int
		push:      text[:pushed], customer: text[pushed:customer], lanes: text[customer:lanes], bucket: text[lanes:bucket],
		last: text[bucket:],
	}, b
}
