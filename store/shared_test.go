package store_test

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"kefud/internal/redistest"
	"kefud/kefu"
	"kefud/store"
)

func testLists(t *testing.T, b backend) {
	s := b.open(t)
	put := func(app kefu.AppID, l kefu.OnlineList) {
		t.Helper()
		if err := s.PutList(t.Context(), app, l); err != nil {
			t.Fatalf("put list: %v", err)
		}
	}
	newer := kefu.OnlineList{At: start, Agents: []kefu.Listed{{Account: "wang@gh_1"}, {User: "o1", ID: "1001"}}}
	put("shop", newer)
	put("shop", kefu.OnlineList{At: start.Add(-time.Hour), Agents: []kefu.Listed{{ID: "old"}}})
	put("empty", kefu.OnlineList{At: start})
	got, err := s.Lists(t.Context(), []kefu.AppID{"shop", "empty", "none"})
	if err != nil {
		t.Fatalf("lists: %v", err)
	}
	same(t, "lists", got, map[kefu.AppID]kefu.OnlineList{"shop": newer, "empty": {At: start}})
	put("shop", kefu.OnlineList{At: start.Add(time.Second), Agents: []kefu.Listed{{ID: "new"}}})
	if got, _ = s.Lists(t.Context(), []kefu.AppID{"shop"}); len(got["shop"].Agents) != 1 {
		t.Errorf("list %+v, want the newest", got["shop"])
	}
}

// Replicas whose clocks differ agree on how old a list is, and the newest counts,
// whoever wrote it.
func testListsOfOtherClocks(t *testing.T, b backend) {
	if b.addrs == nil {
		return // what is embedded has one replica
	}
	const off = 5 * time.Minute
	now := []time.Time{start, start.Add(off), start.Add(-off)}
	var replicas []*store.Store
	for _, at := range now {
		replicas = append(replicas, b.open(t, func(o *store.Options) { o.Prefix, o.Now = "clocks", func() time.Time { return at } }))
	}
	put := func(writer int, name string, age time.Duration) {
		t.Helper()
		l := kefu.OnlineList{At: now[writer].Add(-age), Agents: []kefu.Listed{{ID: name}}}
		if err := replicas[writer].PutList(t.Context(), "skewed", l); err != nil {
			t.Fatalf("put list: %v", err)
		}
	}
	for writer := range replicas {
		name := fmt.Sprint("by ", writer)
		put(writer, name, 0)
		put((writer+1)%len(now), "old", time.Minute)
		for reader, r := range replicas {
			got, err := r.Lists(t.Context(), []kefu.AppID{"skewed"})
			if err != nil {
				t.Fatalf("lists: %v", err)
			}
			l := got["skewed"]
			if age := now[reader].Sub(l.At); len(l.Agents) != 1 || l.Agents[0].ID != name || age < -time.Second || age > 10*time.Second {
				t.Errorf("%s, read by %d: %+v, %s old; want it just made", name, reader, l, age)
			}
		}
	}
}

// Replicas whose clocks differ say so, and when they agree again.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	log := &lines{}
	ahead := 5 * time.Minute
	writer := backend{name: "server", addrs: []string{r.Addr}, count: embedded().count}.open(t, func(o *store.Options) {
		o.Prefix, o.Now = "clocks", func() time.Time { return start.Add(ahead) }
	})
	reader := backend{name: "server", addrs: []string{r.Addr}, count: embedded().count}.open(t, func(o *store.Options) {
		o.Prefix, o.Logger = "clocks", zerolog.New(log)
	})
	said := func(differ, agree int) {
		t.Helper()
		if err := writer.PutList(t.Context(), "shop", kefu.OnlineList{At: start.Add(ahead)}); err != nil {
			t.Fatalf("put list: %v", err)
		}
		for range 2 {
			if _, err := reader.Lists(t.Context(), []kefu.AppID{"shop"}); err != nil {
				t.Fatalf("lists: %v", err)
			}
		}
		same(t, "log lines", []int{log.count("clock differs"), log.count("clocks agree")}, []int{differ, agree})
	}
	said(1, 0)
	for range 3 { // what is measured wavers
		ahead = 2 * time.Second
		said(1, 0)
		ahead = 4 * time.Second
		said(1, 0)
	}
	ahead = 0
	said(1, 1)
}

// Redis' own clock may be wrong: no script asks for it.
func TestNoScriptAsksForTheTime(t *testing.T) {
	t.Parallel()
	scripts, err := fs.Glob(store.Sources, "lua/*.lua")
	if err != nil || len(scripts) < 30 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	calls := regexp.MustCompile(`(?i)call\(\s*['"](time|expireat|pexpireat|expiretime|pexpiretime)['"]|['"](ex|px)at['"]`)
	for _, name := range scripts {
		text, err := fs.ReadFile(store.Sources, name)
		if err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		if found := calls.Find(text); found != nil {
			t.Errorf("%s has %s", name, found)
		}
	}
}

func testLead(t *testing.T, b backend) {
	s := b.open(t)
	lead := func(task, holder string, d time.Duration, want bool) {
		t.Helper()
		if got, err := s.Lead(t.Context(), task, holder, d); got != want || err != nil {
			t.Errorf("lead of %s by %s: %t, %v; want %t", task, holder, got, err, want)
		}
	}
	lead("presence", "a", time.Hour, true)
	lead("presence", "b", time.Hour, false)
	lead("other", "b", time.Hour, true)
	lead("presence", "a", 50*time.Millisecond, true) // renewed, for less
	until(t, "the lead to end", func() bool {
		got, err := s.Lead(t.Context(), "presence", "b", time.Hour)
		return err == nil && got
	})
	lead("presence", "a", time.Hour, false)
}

func testToken(t *testing.T, b backend) {
	s := b.open(t)
	read := func(want kefu.Token, there bool) {
		t.Helper()
		got, ok, err := s.Token(t.Context(), "shop")
		if ok != there || err != nil {
			t.Errorf("token: %t, %v; want %t", ok, err, there)
		}
		same(t, "token", got, want)
	}
	put := func(k kefu.Token) {
		t.Helper()
		if err := s.PutToken(t.Context(), "shop", k); err != nil {
			t.Fatalf("put token: %v", err)
		}
	}
	drop := func(value string) {
		t.Helper()
		if err := s.DropToken(t.Context(), "shop", value); err != nil {
			t.Fatalf("drop token: %v", err)
		}
	}
	read(kefu.Token{}, false)
	drop("none")
	first := kefu.Token{Value: "first token", Expires: start.Add(2 * time.Hour)}
	put(first)
	read(first, true)
	drop("first")
	read(first, true)
	drop("first token")
	read(kefu.Token{}, false)
	put(kefu.Token{Value: "late", Expires: start})
	read(kefu.Token{}, false)
	put(kefu.Token{Value: "short", Expires: start.Add(50 * time.Millisecond)})
	until(t, "the token to expire", func() bool {
		_, ok, err := s.Token(t.Context(), "shop")
		return err == nil && !ok
	})
}

func testMedia(t *testing.T, b backend) {
	s := b.open(t)
	picture := kefu.Media{App: "shop", ID: "of the shop/+="}
	read := func(to kefu.AppID, m kefu.Media, want string) {
		t.Helper()
		got, ok, err := s.Media(t.Context(), to, m)
		if got != want || ok != (want != "") || err != nil {
			t.Errorf("copy of %v for %s: %q, %t, %v; want %q", m, to, got, ok, err, want)
		}
	}
	put := func(to kefu.AppID, m kefu.Media, id string, ttl time.Duration) {
		t.Helper()
		if err := s.PutMedia(t.Context(), to, m, id, ttl); err != nil {
			t.Fatalf("put media: %v", err)
		}
	}
	read("board", picture, "")
	put("board", picture, "first copy", time.Hour)
	read("board", picture, "first copy")
	read("other", picture, "")
	read("board", kefu.Media{App: "board", ID: picture.ID}, "")
	read("board", kefu.Media{App: "shop", ID: picture.ID + " "}, "")
	put("board", picture, "second copy", time.Hour)
	read("board", picture, "second copy")
	put("board", picture, "too late", 0)
	put("board", picture, "too late", -time.Hour)
	read("board", picture, "second copy")
	put("board", picture, "short", 50*time.Millisecond)
	until(t, "the copy to be forgotten", func() bool {
		_, ok, err := s.Media(t.Context(), "board", picture)
		return err == nil && !ok
	})
	put("board", picture, "copy", time.Hour)
	for _, key := range allKeys(t, s) {
		if strings.Contains(key, picture.ID) {
			t.Errorf("%s shows a media_id", key)
		}
	}
}

// until asks again and again until a condition holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	late := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-ticks.C:
		case <-late:
			t.Fatalf("%s: not in time", what)
		}
	}
}

// shareEverything writes one key of each kind that replicas share.
func shareEverything(t *testing.T, s *store.Store) {
	t.Helper()
	err := s.PutList(t.Context(), "shop", kefu.OnlineList{At: start})
	if err == nil {
		_, err = s.Lead(t.Context(), "presence", "a", time.Hour)
	}
	if err == nil {
		err = s.PutToken(t.Context(), "shop", kefu.Token{Value: "v", Expires: start.Add(time.Hour)})
	}
	if err == nil {
		err = s.PutMedia(t.Context(), "board", kefu.Media{App: "shop", ID: "m"}, "copy", time.Hour)
	}
	if err != nil {
		t.Fatalf("share: %v", err)
	}
}

// allKeys lists the keys of a Store, on all nodes.
func allKeys(t testing.TB, s *store.Store) []string {
	t.Helper()
	prefix, _, _ := strings.Cut(s.KnownKey(), ":")
	var mu sync.Mutex
	var out []string
	scan := func(ctx context.Context, c redis.Cmdable) error {
		all := c.Scan(ctx, 0, prefix+":*", 10_000).Iterator()
		for all.Next(ctx) {
			mu.Lock()
			out = append(out, all.Val())
			mu.Unlock()
		}
		return all.Err()
	}
	var err error
	if c, ok := s.Client().(*redis.ClusterClient); ok {
		err = c.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error { return scan(ctx, c) })
	} else {
		err = scan(t.Context(), s.Client())
	}
	if err != nil {
		t.Fatalf("list keys: %v", err)
	}
	return out
}

func testPartitions(t *testing.T, b backend) {
	s := b.open(t)
	same(t, "partitions", s.Partitions(), store.DefaultPartitions)
	used := map[int]bool{}
	for i := range 400 {
		p := s.Partition(kefu.CustomerID{App: "shop", User: fmt.Sprintf("o%06d", i)})
		if p < 0 || p >= s.Partitions() {
			t.Fatalf("partition %d", p)
		}
		used[p] = true
	}
	same(t, "partitions in use", len(used), s.Partitions())
	// A customer must be found again by every later version.
	same(t, "partition", s.Partition(kefu.CustomerID{App: "shop", User: "oX4kR5FjJ"}), 2)
	if s.Partition(kefu.CustomerID{App: "ab", User: "c"}) == s.Partition(kefu.CustomerID{App: "a", User: "bc"}) {
		t.Error("the app's name runs into the openid")
	}
}
