package store_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/kefu"
	"kefud/store"
)

func inspector(t *testing.T, o store.Options) *store.Inspector {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second // a busy machine is not what is tested
	}
	i, err := store.NewInspector(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return i
}

func TestInspectAServer(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes", "--appendfsync", "no")
	got := inspector(t, store.Options{Addrs: []string{r.Addr}}).Inspect(t.Context())
	if got.Err != nil || got.Kind != "server" || got.Latency <= 0 || got.OffsetErr != nil || got.Offset.Abs() > 5*time.Second ||
		got.Partitions != 0 || len(got.Refused) != 0 || len(got.Nodes) != 1 {
		t.Fatalf("%+v", got)
	}
	n := got.Nodes[0]
	if n.Version == "" || n.Policy != "allkeys-lru" || n.Memory == 0 || n.MaxMemory != 64<<20 || !n.AOF || n.Fsync != "no" ||
		!n.SaveKnown || n.Save != "" || n.Role != "master" || n.Cluster {
		t.Errorf("%+v", n)
	}
	if size := r.MustDo("DBSIZE"); size != "0" {
		t.Errorf("%s keys are left", size)
	}
	if s, err := store.Open(t.Context(), store.Options{Addrs: []string{r.Addr}, Partitions: 4}); err != nil || s.Close() != nil {
		t.Fatal(err)
	}
	if got := inspector(t, store.Options{Addrs: []string{r.Addr}}).Inspect(t.Context()); got.Partitions != 4 || got.Err != nil {
		t.Errorf("%+v, want 4 partitions", got)
	}
}

func TestInspectAClusterAndASentinel(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	got := inspector(t, store.Options{Addrs: redistest.Addrs(nodes)}).Inspect(t.Context())
	if got.Err != nil || got.Kind != "cluster" || len(got.Refused) > 0 || len(got.Nodes) != 3 {
		t.Fatalf("%+v", got)
	}
	for _, n := range got.Nodes {
		if !n.Cluster || n.ClusterState != "ok" {
			t.Errorf("%+v", n)
		}
	}
	alone := inspector(t, store.Options{Addrs: redistest.Addrs(nodes)[:1]}).Inspect(t.Context())
	if alone.Kind != "server" || len(alone.Nodes) != 1 || !alone.Nodes[0].Cluster {
		t.Errorf("one node of it: %+v", alone)
	}
	w := redistest.Sentinel(t)
	got = inspector(t, store.Options{Addrs: redistest.Addrs(w.Sentinels), MasterName: w.Name}).Inspect(t.Context())
	if got.Err != nil || got.Kind != "sentinel" || len(got.Nodes) != 1 || got.Nodes[0].Replicas != 1 {
		t.Errorf("%+v", got)
	}
	got = inspector(t, store.Options{Addrs: redistest.Addrs(w.Sentinels), MasterName: "nosuch"}).Inspect(t.Context())
	if got.Err == nil {
		t.Errorf("of no master: %+v", got)
	}
	got = inspector(t, store.Options{Addrs: []string{w.Replica.Addr}}).Inspect(t.Context())
	if len(got.Refused) == 0 || len(got.Nodes) != 1 || got.Nodes[0].Role != "slave" {
		t.Errorf("of a replica: %+v", got)
	}
	got = inspector(t, store.Options{Addrs: []string{w.Master.Addr, w.Replica.Addr}}).Inspect(t.Context())
	if got.Kind != "cluster" || got.Err == nil {
		t.Errorf("of no cluster: %+v", got)
	}
}

func TestInspectTellsWhatIsForbidden(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	user := func(name string, rules ...string) store.Inspection {
		r.MustDo(append([]string{"ACL", "SETUSER", name, "reset", "on", ">secret-word"}, rules...)...)
		got := inspector(t, store.Options{Addrs: []string{r.Addr}, Username: name, Password: "secret-word"}).Inspect(t.Context())
		for _, text := range got.Refused {
			if strings.Contains(text, "secret-word") || strings.Contains(text, name) || strings.ContainsAny(text, "\n") {
				t.Errorf("of %s: %q", name, text)
			}
		}
		return got
	}
	// What doctor advises is enough.
	if got := user("advised", "~kefud:*", "+@all", "-@dangerous", "+info", "+config|get", "+cluster"); len(got.Refused) != 0 || got.Nodes[0].Role == "" || !got.Nodes[0].SaveKnown {
		t.Errorf("as advised: %+v", got)
	}
	if got := user("streamless", "~kefud:*", "+@all", "-xadd", "-info", "-config"); !slices.Equal(got.Refused, []string{"XADD (no permission)"}) || got.Nodes[0].SaveKnown {
		t.Errorf("without XADD, INFO and CONFIG: %+v", got)
	}
	if got := user("scriptless", "~kefud:*", "+@all", "-@scripting", "-multi"); len(got.Refused) != 1 || got.Refused[0] != "EVALSHA (no permission)" {
		t.Errorf("without scripts: %+v", got)
	}
	if got := user("transactionless", "~kefud:*", "+@all", "-multi"); !slices.Equal(got.Refused, []string{"MULTI (no permission)"}) {
		t.Errorf("without transactions: %+v", got)
	}
	if got := user("elsewhere", "~other:*", "+@all"); len(got.Refused) == 0 || got.Partitions != -1 {
		t.Errorf("with other keys: %+v", got)
	}
	if got := user("blind", "~kefud:*", "+@all", "-time"); got.OffsetErr == nil {
		t.Errorf("without TIME: %+v", got)
	}
	wrong := inspector(t, store.Options{Addrs: []string{r.Addr}, Username: "advised", Password: "wrong-word"}).Inspect(t.Context())
	if wrong.Err == nil || strings.Contains(wrong.Err.Error(), "wrong-word") {
		t.Errorf("with a wrong password: %+v", wrong)
	}
	if size := r.MustDo("DBSIZE"); size != "0" {
		t.Errorf("%s keys are left", size)
	}
}

func TestInspectOfNobody(t *testing.T) {
	t.Parallel()
	if _, err := store.NewInspector(store.Options{Addrs: []string{"nowhere"}}); err == nil {
		t.Error("a wrong address is taken")
	}
	r := redistest.Start(t)
	i := inspector(t, store.Options{Addrs: []string{r.Addr}, Timeout: time.Second})
	r.Kill()
	if got := i.Inspect(t.Context()); got.Err == nil {
		t.Errorf("%+v", got)
	}
	if _, err := i.LastNew(t.Context(), []kefu.AgentID{"wang"}); err == nil {
		t.Error("it knows who was given a customer")
	}
}

func TestInspectorReadsWithoutWriting(t *testing.T) {
	t.Parallel()
	b := server(t)
	s := b.open(t)
	c := newPerson(t, s, "u1")
	seat := kefu.SeatRequest{Customer: c.id, Entry: "cs1", At: start, Idle: time.Hour, Candidates: []kefu.SeatCandidate{{Agent: "wang", Capacity: 1}}}
	if _, err := s.Seat(t.Context(), seat); err != nil {
		t.Fatal(err)
	}
	o := b.options()
	o.Prefix, o.Partitions = "t1", 3 // other than it is; there is something to read all the same
	last, err := inspector(t, o).LastNew(t.Context(), []kefu.AgentID{"wang", "li"})
	if err != nil || len(last) != 1 || !last["wang"].Equal(start) {
		t.Errorf("%v, %v; want Wang at %v", last, err, start)
	}
}

// What the scripts do is what is rehearsed.
func TestEveryCommandIsRehearsed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("lua/*.lua")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	rehearsal, err := os.ReadFile("lua/rehearse.lua")
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile(`(?:redis\.p?call\(|args = \{)'([A-Z]+)'`)
	seen := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range called.FindAllSubmatch(text, -1) {
			seen++
			if !strings.Contains(string(rehearsal), "try('"+string(m[1])+"'") {
				t.Errorf("%s does %s, which is not rehearsed", name, m[1])
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d commands were found", seen)
	}
}
