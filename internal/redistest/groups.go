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
// once each of them says that the cluster is complete. Further arguments are added
// to each one's command line.
func Cluster(t testing.TB, args ...string) []*Server {
	t.Helper()
	const size = 3
	nodes := make([]*Server, size)
	for i := range nodes {
		bus := freePort(t)
		nodes[i] = Start(t, append(clustered(bus), args...)...)
		first, last := i*slots/size, (i+1)*slots/size-1
		nodes[i].MustDo("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		nodes[i].MustDo("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i > 0 {
			host, port := split(t, nodes[i].Addr)
			nodes[0].MustDo("CLUSTER", "MEET", host, port, strconv.Itoa(bus))
		}
	}
	Whole(t, nodes)
	return nodes
}

func clustered(bus int) []string {
	return []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", strconv.Itoa(bus)}
}

// Whole waits until each of a cluster's nodes that runs says that the cluster is
// complete.
func Whole(t testing.TB, nodes []*Server) {
	t.Helper()
	for _, n := range nodes {
		await(t, "cluster node "+n.Addr+" to see the whole cluster", func() bool {
			info, err := n.Do("CLUSTER", "INFO")
			return err != nil || strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_size:3")
		})
	}
}

// Owner gives the master that had a key's slot when the cluster was made.
func Owner(t testing.TB, nodes []*Server, key string) *Server {
	t.Helper()
	slot, err := strconv.Atoi(nodes[0].MustDo("CLUSTER", "KEYSLOT", key))
	if err != nil {
		t.Fatalf("slot of %s: %v", key, err)
	}
	for i := range nodes {
		if slot < (i+1)*slots/len(nodes) {
			return nodes[i]
		}
	}
	t.Fatalf("no node has slot %d", slot)
	return nil
}

// Addrs lists the addresses of servers.
func Addrs(servers []*Server) []string {
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = s.Addr
	}
	return out
}

// Follow starts a replica of a cluster's master, and returns once it has its data
// and every node knows it.
func Follow(t testing.TB, nodes []*Server, master *Server) *Server {
	t.Helper()
	bus := freePort(t)
	r := Start(t, clustered(bus)...)
	host, port := split(t, r.Addr)
	nodes[0].MustDo("CLUSTER", "MEET", host, port, strconv.Itoa(bus))
	id := master.MustDo("CLUSTER", "MYID")
	await(t, "the replica to know its master", func() bool {
		_, err := r.Do("CLUSTER", "REPLICATE", id)
		return err == nil
	})
	await(t, "the replica to follow", func() bool {
		return strings.Contains(r.MustDo("INFO", "replication"), "master_link_status:up")
	})
	own := r.MustDo("CLUSTER", "MYID")
	for _, n := range nodes {
		await(t, "the nodes to know the replica", func() bool {
			known, err := n.Do("CLUSTER", "NODES")
			return err == nil && strings.Contains(known, own)
		})
	}
	return r
}

// Masters reports whether the server takes writes: it is no replica.
func (s *Server) Masters() bool {
	info, err := s.Do("INFO", "replication")
	return err == nil && strings.Contains(info, "role:master")
}

// A Watch is a master and a replica, and the sentinels that watch them. After the
// master's death they make the replica the master.
type Watch struct {
	Name            string // the master's name, as clients ask for it
	Sentinels       []*Server
	Master, Replica *Server
}

// Sentinel runs a master, a replica and three sentinels, two of which must agree,
// and returns once the replica has the master's data and the sentinels know all.
func Sentinel(t testing.TB) Watch {
	t.Helper()
	const size, quorum = 3, 2
	w := Watch{Name: "kefud-test", Master: Start(t)}
	host, port := split(t, w.Master.Addr)
	w.Replica = Start(t, "--replicaof", host, port)
	await(t, "the replica to follow", func() bool {
		return strings.Contains(w.Replica.MustDo("INFO", "replication"), "master_link_status:up")
	})
	for range size {
		w.Sentinels = append(w.Sentinels, launch(t, func(own int) []string {
			file := filepath.Join(t.TempDir(), "sentinel.conf")
			text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor %s %s %s %d\n"+
				"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 1000\n",
				own, w.Name, host, port, quorum, w.Name, w.Name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatalf("write the sentinel's config: %v", err)
			}
			return []string{file, "--sentinel"}
		}))
	}
	for _, s := range w.Sentinels {
		await(t, "the sentinels to know the replica and each other", func() bool {
			return strings.Contains(s.MustDo("INFO", "sentinel"), fmt.Sprintf("slaves=1,sentinels=%d", size))
		})
	}
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
