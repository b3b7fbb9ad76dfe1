package store

import (
	"strconv"
	"strings"

	"kefud/kefu"
)

// A visit is what receive.lua needs of a push in every case, but for numbers.
type visit struct {
	partition                     int
	push, customer, lanes, bucket string
	last                          string // argument: the default entry, its sticky time (ms) and the customer's member, each on a line
}

// visit makes them all in one piece of memory, for there is one for every push.
func (k keys) visit(r *kefu.Receipt) visit {
	c := r.Customer
	d, parts, buckets := digest(c), uint64(k.partitions), uint64(k.buckets) //nolint:gosec // positive ints
	var digits [20]byte
	place := strconv.AppendUint(digits[:0], d%parts, 10)
	const fixed = len(":{}:push:123456789012") + len(":{}:who:12345678901") + len(":{}:lanes") + len(":{}:bucket:1023") + len("\n9223372036854775807\n ")
	var text strings.Builder
	text.Grow(4*(len(k.prefix)+len(place)) + len(c.App) + len(c.User) + len(r.Default) + fixed)
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
	who, push := sums(c, r.Key)
	var room [12]byte
	v := visit{
		partition: int(d % parts), //nolint:gosec // smaller than an int
		push:      name("}:push:", string(base64url(room[:], push[:pushBytes]))),
		customer:  name("}:who:", string(base64url(room[:], who[:markBytes]))),
		lanes:     name("}:lanes"),
	}
	v.last = name("", string(r.Default), "\n", string(strconv.AppendInt(place[len(place):], r.DefaultSticky.Milliseconds(), 10)), "\n", string(c.App), " ", c.User)
	v.bucket = name("}:bucket:", string(strconv.AppendUint(place[len(place):], d/parts%buckets, 10)))
	return v
}
