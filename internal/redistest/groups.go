package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// slots is how many hash slots a cluster has.
//
// Redis, "Redis cluster specification",
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/, read 2026-11.
const slots = 16384

// Cluster runs a Redis Cluster of three masters without replicas and returns
// once each of them says that the cluster is complete.
func Cluster(t testing.TB) []*Server {
	t.Helper()
	const size = 3
	nodes := make([]*Server, size)
	for i := range nodes {
		bus := freePort(t)
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", strconv.Itoa(bus))
		first, last := i*slots/size, (i+1)*slots/size-1
		nodes[i].MustDo("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		nodes[i].MustDo("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i > 0 {
			host, port := split(t, nodes[i].Addr)
			nodes[0].MustDo("CLUSTER", "MEET", host, port, strconv.Itoa(bus))
		}
	}
	for _, n := range nodes {
		await(t, "cluster node "+n.Addr+" to see the whole cluster", func() bool {
			info := n.MustDo("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_size:%d", size))
		})
	}
	return nodes
}

// Addrs lists the addresses of servers.
func Addrs(servers []*Server) []string {
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = s.Addr
	}
	return out
}

// A Watch is a sentinel with the master and the replica it watches. After the
// master's death it makes the replica the master.
type Watch struct {
	Name                      string // the master's name, as clients ask for it
	Sentinel, Master, Replica *Server
}

// Sentinel runs a master, a replica and one sentinel, and returns once the
// replica has the master's data and the sentinel knows both.
func Sentinel(t testing.TB) Watch {
	t.Helper()
	w := Watch{Name: "kefud-test", Master: Start(t)}
	host, port := split(t, w.Master.Addr)
	w.Replica = Start(t, "--replicaof", host, port)
	await(t, "the replica to follow", func() bool {
		return strings.Contains(w.Replica.MustDo("INFO", "replication"), "master_link_status:up")
	})
	w.Sentinel = launch(t, func(own int) []string {
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor %s %s %s 1\n"+
			"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 3000\n",
			own, w.Name, host, port, w.Name, w.Name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatalf("write the sentinel's config: %v", err)
		}
		return []string{file, "--sentinel"}
	})
	await(t, "the sentinel to know the replica", func() bool {
		return strings.Contains(w.Sentinel.MustDo("INFO", "sentinel"), "slaves=1")
	})
	return w
}

func split(t testing.TB, addr string) (string, string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("split address: %v", err)
	}
	return host, port
}
