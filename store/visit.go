package store

import (
	"strconv"
	"strings"

	"kefud/kefu"
)

// A visit is what a push needs of its customer's keys, and his member.
type visit struct {
	partition                           int
	push, customer, lane, lanes, bucket string
	member                              string
}

// visit makes them all in one piece of memory, for there is one for every push.
func (k keys) visit(c kefu.CustomerID, m kefu.MessageKey) visit {
	d, parts, buckets := digest(c), uint64(k.partitions), uint64(k.buckets) //nolint:gosec // positive ints
	var digits [20]byte
	place := strconv.AppendUint(digits[:0], d%parts, 10)
	const fixed = len(":{}:push:::") + len(":{}:customer::") + len(":{}:lane::") + len(":{}:lanes") + len(" ") + len(":{}:rest:1023")
	var text strings.Builder
	text.Grow(5*(len(k.prefix)+len(place)) + 4*(len(c.App)+len(c.User)) + len(m) + fixed)
	name := func(of string, tail ...string) string {
		from := text.Len()
		if of != "" {
			text.WriteString(k.prefix)
			text.WriteString(":{")
			text.Write(place)
			text.WriteString(of)
		}
		for _, s := range tail {
			text.WriteString(s)
		}
		return text.String()[from:]
	}
	app := string(c.App)
	v := visit{
		partition: int(d % parts), //nolint:gosec // smaller than an int
		push:      name("}:push:", app, ":", c.User, ":", string(m)),
		customer:  name("}:customer:", app, ":", c.User),
		lane:      name("}:lane:", app, ":", c.User),
		lanes:     name("}:lanes"),
		member:    name("", app, " ", c.User),
	}
	v.bucket = name("}:rest:", string(strconv.AppendUint(place[len(place):], d/parts%buckets, 10)))
	return v
}
