package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of a Redis, as the configuration asks for one.
const (
	KindServer   = "server"
	KindSentinel = "sentinel"
	KindCluster  = "cluster"
)

// Redis is what was observed of Redis.
type Redis struct {
	Kind       string
	Err        error         // why it could not be reached; nothing else is known then
	Latency    time.Duration // of a ping, the median
	Offset     time.Duration // how far its clock is ahead of ours
	OffsetErr  error
	Partitions int      // as it holds them under the prefix; 0 = the prefix is not in use, -1 = that cannot be read
	Refused    []string // what of a rehearsal of the server's commands it did not do: command and reason
	Nodes      []Node   // the server or master, or the masters of a cluster
}

// A Node is one redis-server. What could not be read is the zero value.
type Node struct {
	Version      string
	Policy       string // maxmemory-policy
	Memory       int64  // bytes in use
	MaxMemory    int64  // 0 = no limit
	AOF          bool
	Fsync        string // appendfsync; "" = it does not say
	Save         string // when it writes snapshots
	SaveKnown    bool
	Role         string // "master" or "slave"
	Replicas     int
	Cluster      bool   // it is part of a cluster
	ClusterState string // "ok" or "fail"
}

// checkStore looks at where the state lives.
func checkStore(s *Setup, f *Facts) []Finding {
	t := about("redis")
	r := &f.Redis
	if s.Embedded {
		t.add(Warn, "redis.store", "there is no Redis: the state lives in the server's process and ends with it, and there can be only one process",
			"set redis.addrs (KEFUD_REDIS_ADDRS=host:6379)")
		return t.found
	}
	if r.Err != nil {
		t.add(Fail, "redis.reach", "no Redis ("+r.Kind+") can be used: "+r.Err.Error(), unreachable(r))
		return t.found
	}
	t.ok("redis.reach", "a Redis (%s) answers", r.Kind)
	checkLatency(t, r.Latency, s.ReplyBudget)
	t.partitions(s, r.Partitions)
	if len(r.Refused) > 0 {
		t.add(Fail, "redis.commands", "it does not do what the server needs: "+some(r.Refused),
			fmt.Sprintf("allow its user what it refuses: ACL SETUSER … ~%s:* +@all -@dangerous +info +config|get +cluster", s.Prefix))
	} else {
		t.ok("redis.commands", "it does everything that the server asks of it")
	}
	for i := range r.Nodes {
		node := about("redis")
		if len(r.Nodes) > 1 {
			node.subject += " " + strconv.Itoa(i+1)
		}
		node.node(r.Kind, &r.Nodes[i])
		t.found = append(t.found, node.found...)
	}
	return t.found
}

// some lists the first of many.
func some(all []string) string {
	const most = 6
	text := strings.Join(all[:min(len(all), most)], ", ")
	if n := len(all) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

func unreachable(r *Redis) string {
	why := r.Err.Error()
	switch {
	case strings.Contains(why, "NOAUTH"), strings.Contains(why, "WRONGPASS"), strings.Contains(why, "AUTH"):
		return "set redis.username and redis.password (KEFUD_REDIS_PASSWORD)"
	case r.Kind == KindSentinel:
		return "check that redis.addrs are sentinels and that they know redis.master_name: redis-cli -p 26379 sentinel masters"
	case strings.Contains(why, "cluster support disabled"):
		return "several redis.addrs mean a cluster: name one address, or set redis.master_name if they are sentinels"
	}
	return "check redis.addrs, redis.tls and the network: redis-cli -h HOST -p PORT ping"
}

func checkLatency(t *topic, median, budget time.Duration) {
	const trips = 4 // round trips of a new assignment, with one to spare
	text := fmt.Sprintf("a round trip takes %s", round(median))
	do := "bring it nearer to the server, or raise reply_budget"
	switch {
	case trips*median > budget:
		t.add(Fail, "redis.latency", fmt.Sprintf("%s: an answer needs up to %d, and reply_budget is %s", text, trips, budget), do)
	case trips*median > budget/10:
		t.add(Warn, "redis.latency", text+": answers will be slow", do)
	default:
		t.ok("redis.latency", "%s", text)
	}
}

func (t *topic) partitions(s *Setup, stored int) {
	switch stored {
	case -1:
		t.add(Unchecked, "redis.partitions", "not checked: over how many partitions keys are spread cannot be read", "see which commands it refuses")
	case 0:
		t.ok("redis.partitions", "nothing is stored under %s: yet; the first start will spread it over %d partitions", s.Prefix, s.Partitions)
	case s.Partitions:
		t.ok("redis.partitions", "%s: is in use, over %d partitions as configured", s.Prefix, stored)
	default:
		t.add(Fail, "redis.partitions", fmt.Sprintf("what is stored under %s: is spread over %d partitions, the configuration says %d: the server will not start", s.Prefix, stored, s.Partitions),
			fmt.Sprintf("set redis.partitions: %d, or another redis.key_prefix", stored))
	}
}

func (t *topic) node(kind string, n *Node) {
	t.version(n.Version)
	t.place(kind, n)
	t.memory(n)
	t.persistence(n)
}

// Versions: ZRANGE BYSCORE and XTRIM MINID came with 6.2; 7.0 is what the tests run on.
var (
	leastVersion  = []int{6, 2}
	testedVersion = []int{7, 0}
)

func (t *topic) version(version string) {
	const id = "redis.version"
	v := numbers(version)
	switch {
	case v == nil:
		t.add(Unchecked, id, "not checked: it does not say its version", "7.0 or later is tested")
	case slices.Compare(v, leastVersion) < 0:
		t.add(Fail, id, "version "+version+" lacks commands that the server uses (ZRANGE BYSCORE, XTRIM MINID)", "install 7.0 or later")
	case slices.Compare(v, testedVersion) < 0:
		t.add(Warn, id, "version "+version+" should do, but nothing before 7.0 is tested", "install 7.0 or later")
	default:
		t.ok(id, "version %s", version)
	}
}

func numbers(version string) []int {
	var v []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return v
		}
		v = append(v, n)
	}
	return v
}

// place looks whether it is the one to talk to.
func (t *topic) place(kind string, n *Node) {
	const id = "redis.role"
	switch {
	case n.Role == "slave":
		t.add(Fail, id, "it is a replica and takes no writes", "write the master's address in redis.addrs, or the sentinels' and redis.master_name")
	case n.Cluster && kind != KindCluster:
		t.add(Fail, id, "it is part of a cluster, and one address means a single server", "write at least two of the cluster's addresses in redis.addrs")
	case n.Cluster && n.ClusterState != "ok":
		t.add(Fail, id, "the cluster is not complete: cluster_state:"+n.ClusterState, "redis-cli --cluster check HOST:PORT, and redis-cli --cluster fix HOST:PORT")
	case n.Replicas == 0 && kind != KindServer:
		t.add(Warn, id, "this master has no replica: when it dies, nobody takes its place", "add a replica")
	case n.Role == "":
		t.add(Unchecked, id, "not checked: it does not say whether it is a master", "allow its user INFO: ACL SETUSER … +info")
	default:
		t.ok(id, "it is a master with %d replicas", n.Replicas)
	}
}

func (t *topic) memory(n *Node) {
	const id = "redis.eviction"
	do := "redis-cli config set maxmemory-policy noeviction, and in redis.conf"
	switch {
	case n.Policy == "":
		t.add(Unchecked, id, "not checked: it does not say its maxmemory-policy", "make sure that it is noeviction")
	case n.Policy == "noeviction":
		t.ok(id, "maxmemory-policy is noeviction: it throws nothing away")
	case n.MaxMemory == 0:
		t.add(Warn, id, "maxmemory-policy is "+n.Policy+": as soon as there is a maxmemory it will throw conversations away", do)
	case strings.HasPrefix(n.Policy, "volatile-"):
		t.add(Warn, id, "maxmemory-policy is "+n.Policy+": when memory runs short it throws conversations away", do)
	default:
		t.add(Fail, id, "maxmemory-policy is "+n.Policy+": when memory runs short it throws away conversations, what is owed, and who is bound to which chat", do)
	}
	t.room(n)
}

func (t *topic) room(n *Node) {
	const id = "redis.memory"
	const mib = 1 << 20
	if n.MaxMemory == 0 {
		t.ok(id, "%d MiB in use, no maxmemory", n.Memory/mib)
		return
	}
	used := 100 * n.Memory / n.MaxMemory
	text := fmt.Sprintf("%d%% of maxmemory (%d MiB) is in use", used, n.MaxMemory/mib)
	const full, filling = 95, 80
	do := "raise maxmemory: redis-cli config set maxmemory BYTES, and in redis.conf"
	switch {
	case used >= full:
		t.add(Fail, id, text+": soon it will take no writes", do)
	case used >= filling:
		t.add(Warn, id, text, do)
	default:
		t.ok(id, "%s", text)
	}
}

func (t *topic) persistence(n *Node) {
	const id = "redis.persistence"
	do := "redis-cli config set appendonly yes, and in redis.conf (appendfsync everysec)"
	switch {
	case n.AOF && n.Fsync == "no":
		t.add(Warn, id, "appendfsync is no: a crash of the machine loses about the last 30 s", "redis-cli config set appendfsync everysec, and in redis.conf")
	case n.AOF:
		t.ok(id, "an append-only file is written: a crash of the machine loses a second at most")
	case !n.SaveKnown:
		t.add(Unchecked, id, "not checked: there is no append-only file, and it does not say whether it writes snapshots", "ask whoever runs it whether its data outlives a restart")
	case n.Save != "":
		t.add(Warn, id, "only snapshots are written: a crash loses what came after the last one: conversations, answers that are owed, chats that were bound", do)
	case n.Replicas > 0:
		t.add(Warn, id, "nothing is written to disk: if master and replicas restart together, all is lost", do)
	default:
		t.add(Warn, id, "nothing is written to disk: a restart loses who has whom, what is owed to customers, what agents were not yet sent, and the binding of all chats", do)
	}
}
