package redistest

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.MustDo("SET", "k", "v")
	if got := s.MustDo("GET", "k"); got != "v" {
		t.Errorf("GET k = %q, want v", got)
	}
	if got, err := s.Do("GET", "none"); got != "" || err != nil {
		t.Errorf("GET none = %q, %v; want nothing", got, err)
	}
	if _, err := s.Do("INCR", "k"); err == nil || !strings.Contains(err.Error(), "not an integer") {
		t.Errorf("INCR of a word: %v, want Redis's error", err)
	}

	s.Restart()
	if got := s.MustDo("GET", "k"); got != "" {
		t.Errorf("after a restart GET k = %q, want nothing", got)
	}
	s.Kill()
	if _, err := s.Do("PING"); err == nil {
		t.Error("a killed server answers")
	}
	s.Restart()
	s.MustDo("PING")
}

func TestArguments(t *testing.T) {
	t.Parallel()
	s := Start(t, "--requirepass", "secret")
	if _, err := s.Do("PING"); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("PING without the password: %v, want NOAUTH", err)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := do(ctx, s.Addr, []string{"PING"}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING of a frozen server: %v, want a timeout", err)
	}
	s.Resume()
	s.MustDo("PING")
}

func TestFlushScripts(t *testing.T) {
	t.Parallel()
	s := Start(t)
	sha := s.MustDo("SCRIPT", "LOAD", "return 'x'")
	s.MustDo("EVALSHA", sha, "0")
	s.FlushScripts()
	if _, err := s.Do("EVALSHA", sha, "0"); err == nil || !strings.HasPrefix(err.Error(), "NOSCRIPT") {
		t.Errorf("EVALSHA after a flush: %v, want NOSCRIPT", err)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := Cluster(t)
	refused := 0
	for _, n := range nodes {
		if _, err := n.Do("SET", "k", "v"); err != nil {
			if !strings.HasPrefix(err.Error(), "MOVED") {
				t.Errorf("SET on %s: %v, want MOVED", n.Addr, err)
			}
			refused++
		}
	}
	if refused != len(nodes)-1 {
		t.Errorf("%d of %d nodes refused the key, want all but one", refused, len(nodes))
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	w := Sentinel(t)
	w.Master.MustDo("SET", "k", "v")
	await(t, "the replica to have the key", func() bool { return w.Replica.MustDo("GET", "k") == "v" })
	w.Master.Kill()
	await(t, "the replica to be the master", func() bool {
		return w.Replica.Masters()
	})
	w.Replica.MustDo("SET", "k", "w")
}

func TestFollow(t *testing.T) {
	t.Parallel()
	nodes := Cluster(t)
	r := Follow(t, nodes, nodes[0])
	if r.Masters() {
		t.Error("the replica is a master")
	}
	nodes[0].Kill()
	await(t, "the replica to be the master", r.Masters)
	await(t, "the cluster to be whole", func() bool {
		return strings.Contains(nodes[1].MustDo("CLUSTER", "INFO"), "cluster_state:ok")
	})
}
