package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kefud/kefu"
)

// Every key, with <prefix> from Options, P the number of partitions and p the
// partition of a customer. Times are Unix milliseconds. The TTL of buckets of who rests
// and of seats is an eighth more, so that not everybody who comes has to lengthen it.
// What stands in braces decides on which node of a cluster a key lives: all keys of a
// partition live together, and so do the seats of all agents, so that one script can try
// a whole ladder.
//
// <mark> is the customer's: the first 8 bytes of SHA-1 of "app user", in base64url. There
// are so many customers in conversation, and pushes of a minute, that names would be most of
// what they take; a key of 28 bytes takes half the memory of one with a name in it.
//
//	key                                   type    TTL               writer                   reader
//	<prefix>:partitions                   string  none: it says     readLayout               readLayout
//	                                              where all else is
//	<prefix>:{p}:who:<mark>               hash    longestMS+slack   receive settle unserve   the same, history,
//	                                                                lease finish say close   overdue hurry
//	                                                                revive rest forget       allowed
//	<prefix>:{p}:bucket:<0…1023>          hash    till all in it    rest walk forget, and    the same, history,
//	                                              are over          receive settle say       allowed
//	                                                                close revive unserve
//	<prefix>:{p}:push:<digest>            string  pushTTL           receive settle           receive settle Lookup
//	<prefix>:{p}:records:<0…1023>         list    recordTTL         settle forget            history
//	<prefix>:{p}:lane:<app>:<user>        list    laneTTL           receive settle finish    lease finish Owed
//	                                                                say close revive
//	<prefix>:{p}:lanes                    zset    laneTTL           receive settle lease     Lease lease finish Backlog
//	                                                                finish say close post    draw drawn revive Owed
//	                                                                draw drawn hear revive
//	<prefix>:{p}:buried                   list    buriedTTL         finish buryLines revive  Buried Backlog Owed Retry
//	                                                                Forget
//	<prefix>:{p}:revived:<id>             string  revivedTTL        revive                   Retry
//	<prefix>:{p}:said:<app>:<user>        stream  keep or laneTTL   receive settle say mark  Sayings
//	<prefix>:{p}:uttered:<app>:<user>:<agent>:<key>
//	                                      string  pushTTL           say                      say
//	<prefix>:{p}:timers                   zset    laneTTL           receive settle say       Overdue overdue
//	                                                                close overdue hurry
//	<prefix>:{p}:chat:<app>:<user>        hash    chatTTL           post draw drawn hear     the same, leave
//	                                                                reply leave withdraw
//	                                                                SetState Shut
//	<prefix>:{p}:labels:<app>:<user>      hash    chatTTL           post hear reply leave    the same
//	                                                                withdraw
//	<prefix>:{p}:chatlane:<app>:<user>    list    laneTTL           post draw drawn leave    the same, Owed
//	                                                                withdraw
//	<prefix>:{p}:gone:<app>:<user>        zset    pushTTL           leave draw drawn         draw withdraw
//	                                                                withdraw
//	<prefix>:{p}:posted:<chat's app>:<chat's user>:<app>:<user>:<key>
//	                                      string  pushTTL           post withdraw            the same
//	<prefix>:{p}:heard:<app>:<user>:<key> string  pushTTL           hear reply               hear HeardReply
//	<prefix>:{agents}:taken:<agent>       zset    till the last     seat release refresh     the same, Loads
//	                                              seat is free      vacate
//	<prefix>:{agents}:known               hash    knownTTL          seat                     seat refresh Loads
//	<prefix>:{agents}:queue:<app>:<e>     zset    idle              seat                     seat
//	<prefix>:{agents}:asked:<app>:<e>     zset    idle              seat                     seat
//	<prefix>:{agents}:chats               hash    none: a chat is   bind announce unbind     Chats
//	<prefix>:{agents}:owners              hash    his till unbound  bind unbind              Whose bind announce
//	<prefix>:{agents}:invites:<app>       hash    inviteTTL         Invite bind              bind Invited
//	<prefix>:{agents}:guesses:<app>[:<user>]
//	                                      string  guessTTL          bind                     bind
//	<prefix>:list:<app>                   string  listTTL           younger (PutList)        Lists
//	<prefix>:token:<app>                  string  till it expires   PutToken drop            Token drop
//	<prefix>:media:<app>:<of>:<digest>    string  less than WeChat   PutMedia                 Media
//	                                              keeps the copy
//	<prefix>:lead:<task>                  string  the lease         lead                     lead
//
// What they hold:
//
//	partitions  P
//	bucket      of customers: by the 8 bytes of his mark, what is left of his hash
//	            while he rests, or a space and "app user" while he has one
//	push        when the push was first seen, and once it is decided a space, the
//	            letter of its kefu.Way, the agent, a space, the account. The digest is XXH64
//	            of "app user", a zero byte and the push's key, and a byte of the mark, in base64url
//	records     of the customers of a bucket: the 8 bytes of his mark, kefu.Record as record.go
//	            writes it; the newest first, recordsMost at most
//	lane        deliveries, the oldest first; lines: id, attempts, agent, entry, JSON of the rest
//	lanes       "app user" of every lane with deliveries, "@app user" of every chat's; the
//	            score is when it is due, or its lease ends
//	buried      burials as JSON, the newest first, buriedKept at most
//	revived     that the delivery was put back into its lane; the id is Owed.ID
//	taken       seats: the mark, as a number (signed, 64 bits), of every customer the agent has; the score
//	            is when the seat falls free, in ticks of 1/2048 ms, so that it names one taking
//	known       of an agent: his capacity as it was when a seat of his was last taken, a space, when he
//	            last got a new customer
//	said        sayings: t when (ms), d c = the customer's or a = the agent's, a agent, w words, k what
//	            it is known by; and what became of them: r = k, s state, y reason
//	uttered     how many messages were left after it, a space, until when (ms)
//	timers      "app user" of who waits for an answer; the score is when it is overdue, or its lease ends
//	labels      conversations of the chat: <label> = customer, entry, waiting since ms, last word ms, the
//	            customer's last words, each on a line; =<customer> = label
//	chatlane    lines for the agent, the oldest first; lines: id, attempts, flags (d doubt,
//	            w withdrawn, b and brought to somebody else), customer, label, turn, kind (T text, P part, I picture, N note), bytes, entry, body
//	gone        ids of lines that were taken out before the agent had them; the score is when
//	posted      id of the line that counts, a space, the label, and if that was given for it " new "
//	            and how many lines there are; x = withdrawn
//	heard       when (ms), then, if it means a conversation, what was found (word, label, label lost, customer, who
//	            has it, each after a bar), or once it is answered a line break and what he was told, sealed
//	chats       of an agent: app, openid, state, until when (ms) he can be sent something
//	owners      "app openid" of a chat: the agent
//	invites     of an agent: code, until when (ms); 0 = used up
//	queue       the mark, as in taken, of who waits at the entry e; the score is since when
//	asked       the same customers; the score is when a seat was last asked for
//	list        when the list was fetched, a space, JSON of its agents
//	token       when it expires, a space, the token
//	media       the media_id of the app's copy of a picture of the app "of"; the digest is of
//	            the picture's own media_id
//	lead        who leads
//
// The fields of a customer, all of them optional. They stand in his hash by themselves if what
// is around them changes without them: sv mn mu en eu hl rm re aw o:<entry>. All others are
// parts of its fields s, t and q, as state.lua writes them.
//
//	e  the present entry            et 1 = a tag brought it     es its sticky, ms
//	ei when he came to it, or began a new conversation
//	a  the agent asked for at e     g  the group asked for at e
//	ow the owner at e, bo how often in a row he was borrowed; lasting es from lp
//	o:<entry>  the same at another entry: agent, times and last push there
//	sv who serves                   se at which entry           st 1 = as a stand-in
//	v  version                      sa when his seat was last asked for or refreshed
//	lp last push                    il conversation idle, ms
//	mn messages allowed after a message, mu until when
//	en messages allowed after entering, eu until when
//	rm mu at the time when a message of mn was reserved for a lease, re the same of en
//	n  notices sent in this conversation, each between spaces
//	dn deliveries written           ku until when the key is kept
//	rc pushes received              hl 1 = the lane waits for him to write (calm is 0 then)
//	aw waits for an answer since    at for how long, ms
//	mi who has not answered, each after a space
//
// The fields of a chat, all of them optional:
//
//	st state                        sel selected label, sw as of when (ms)
//	tomb label taken from him, a space, who has it ('' = not known); nothing is selected then
//	mn messages allowed, mu until when; rm as above             pu the mu that others know of
//	al mn as it was when he wrote
//	tw 1 = told that more waits     hd 1 = all is held until he writes
//	ls last message to him          fl lines on their way       dn lines written
//	po due after a try that failed (ms): while it is, nobody tries
//	nl last label given             ms conversations in a row that he did not answer in time
const (
	chatTTL   = 30 * 24 * time.Hour // an agent on holiday keeps his state
	guessTTL  = 10 * time.Minute
	inviteTTL = 24 * time.Hour
	pushTTL   = time.Minute         // longer than any platform pushes again
	recordTTL = 7 * 24 * time.Hour  // explain
	laneTTL   = 72 * time.Hour      // longer than the longest allowance
	buriedTTL = 30 * 24 * time.Hour // a human looks once a month

	revivedTTL = 24 * time.Hour      // who puts a delivery back twice is told so
	knownTTL   = 30 * 24 * time.Hour // an agent on holiday is still known
	listTTL    = 24 * time.Hour      // for whoever wants to know how old it is
	slack      = time.Hour           // so that a customer's TTL is moved once an hour at most

	recordsKept = 20     // of a customer, that are shown
	recordsMost = 2000   // of a bucket; at a million customers that is 31 of each
	buriedKept  = 10_000 // a partition
)

// keys makes the keys of one prefix.
type keys struct {
	prefix     string
	partitions int
	buckets    int // of a partition
}

// Partition tells where a customer's keys live: his digest modulo the number of
// partitions.
func (k keys) partition(c kefu.CustomerID) int {
	return int(digest(c) % uint64(k.partitions)) //nolint:gosec // the remainder is smaller than an int that is positive
}

// bucket names what holds the customer while he rests, and records what holds his
// decisions: they are told by what is left of his digest when the partition is taken
// out of it, modulo the number of buckets.
func (k keys) bucket(c kefu.CustomerID) string  { return k.shelf("}:bucket:", c) }
func (k keys) records(c kefu.CustomerID) string { return k.shelf("}:records:", c) }

func (k keys) shelf(name string, c kefu.CustomerID) string {
	d, p, n := digest(c), uint64(k.partitions), uint64(k.buckets) //nolint:gosec // positive ints
	return k.prefix + ":{" + strconv.FormatUint(d%p, 10) + name + strconv.FormatUint(d/p%n, 10)
}

// digest is FNV-1a, 64 bits, over the app, a zero byte and the openid.
func digest(c kefu.CustomerID) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(c.App) {
		h = (h ^ uint64(c.App[i])) * prime
	}
	h *= prime // the zero byte
	for i := range len(c.User) {
		h = (h ^ uint64(c.User[i])) * prime
	}
	return h
}

func (k keys) layout() string               { return k.prefix + ":partitions" }
func (k keys) list(app kefu.AppID) string   { return k.prefix + ":list:" + string(app) }
func (k keys) token(app kefu.AppID) string  { return k.prefix + ":token:" + string(app) }
func (k keys) lead(task string) string      { return k.prefix + ":lead:" + task }
func (k keys) seats(a kefu.AgentID) string  { return k.prefix + ":{agents}:taken:" + string(a) }
func (k keys) known() string                { return k.agents("known") }
func (k keys) lanes(p int) string           { return k.in(p, "lanes") }
func (k keys) buried(p int) string          { return k.in(p, "buried") }
func (k keys) agents(rest string) string    { return k.prefix + ":{agents}:" + rest }
func (k keys) in(p int, rest string) string { return k.prefix + ":{" + strconv.Itoa(p) + "}:" + rest }

func (k keys) media(to kefu.AppID, m kefu.Media) string {
	sum := sha256.Sum256([]byte(m.ID))
	return k.prefix + ":media:" + string(to) + ":" + string(m.App) + ":" + hex.EncodeToString(sum[:16])
}

func (k keys) queue(name string, app kefu.AppID, e kefu.EntryTag) string {
	return k.prefix + ":{agents}:" + name + ":" + string(app) + ":" + string(e)
}

func (k keys) of(name string, c kefu.CustomerID) string {
	return k.prefix + ":{" + strconv.Itoa(k.partition(c)) + "}:" + name + ":" + string(c.App) + ":" + c.User
}

func (k keys) timers(p int) string { return k.in(p, "timers") }

func (k keys) rest(p, bucket int) string { return k.in(p, "bucket:"+strconv.Itoa(bucket)) }

func (k keys) revived(p int, id string) string { return k.in(p, "revived:"+id) }

func (k keys) chats() string  { return k.agents("chats") }
func (k keys) owners() string { return k.agents("owners") }

func (k keys) customer(c kefu.CustomerID) string {
	var room [12]byte
	s := markOf(c)
	return k.in(k.partition(c), "who:"+string(base64url(room[:0], s[:])))
}

func (k keys) said(c kefu.CustomerID) string     { return k.of("said", c) }
func (k keys) chat(c kefu.CustomerID) string     { return k.of("chat", c) }
func (k keys) labels(c kefu.CustomerID) string   { return k.of("labels", c) }
func (k keys) gone(c kefu.CustomerID) string     { return k.of("gone", c) }
func (k keys) chatLane(c kefu.CustomerID) string { return k.of("chatlane", c) }
func (k keys) lane(c kefu.CustomerID) string     { return k.of("lane", c) }

func (k keys) push(c kefu.CustomerID, m kefu.MessageKey) string {
	var room [12]byte
	_, s := marks(c, m)
	return k.in(k.partition(c), "push:"+string(base64url(room[:0], s[:])))
}

// member names a customer within a sorted set. The name of an app has no space.
func member(c kefu.CustomerID) string { return string(c.App) + " " + c.User }

// chatMember names a chat among lanes; no app's name begins like that.
func chatMember(c kefu.CustomerID) string { return "@" + member(c) }

func customer(member string) (kefu.CustomerID, error) {
	app, user, ok := strings.Cut(member, " ")
	if !ok {
		return kefu.CustomerID{}, fmt.Errorf("member of %d bytes is no customer", len(member))
	}
	return kefu.CustomerID{App: kefu.AppID(app), User: user}, nil
}

// millis is an instant at the border to Lua; 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the reverse of millis.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// fieldServing is the field of a customer's hash that says who serves.
const fieldServing = "sv"
