package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

const (
	pings         = 20               // whose median is the latency
	pinging       = time.Second      // and no more of them after this
	rehearsalKept = 10 * time.Second // if nobody is there to delete it
)

// An Inspection is what a look at Redis brought to light.
type Inspection struct {
	Kind       string        // "server", "sentinel" or "cluster", as the options ask for one
	Err        error         // why it could not be reached; nothing else is known then
	Latency    time.Duration // of a ping, the median of some
	Offset     time.Duration // how far its clock is ahead of ours
	OffsetErr  error
	Partitions int      // as stored under the prefix; 0 = nothing is, -1 = that cannot be read
	Refused    []string // what of a rehearsal of the scripts it did not do: command and reason
	Nodes      []Node
}

// A Node is one redis-server, as far as it tells of itself; the rest is zero.
type Node struct {
	Version      string
	Policy       string // maxmemory-policy
	Memory       int64
	MaxMemory    int64 // 0 = no limit
	AOF          bool
	Fsync        string
	Save         string
	SaveKnown    bool
	Role         string
	Replicas     int
	Cluster      bool
	ClusterState string
}

// An Inspector looks at a Redis and changes nothing in it: unlike Open it does
// not say how keys are spread, and the few keys of its rehearsal are gone when
// it is over.
type Inspector struct{ *Store }

// NewInspector makes an Inspector, of which wrong options are an error. It has
// to be closed.
func NewInspector(o Options) (*Inspector, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	s.layout.Store(&layout{}) // reading goes on whatever it is
	return &Inspector{s}, nil
}

// Inspect looks at Redis.
func (i *Inspector) Inspect(ctx context.Context) Inspection {
	in := Inspection{Kind: i.kind()}
	if err := i.reach(ctx); err != nil {
		in.Err = i.fault(ctx, err)
		return in
	}
	in.Latency = i.latency(ctx)
	in.Offset, in.OffsetErr = i.offset(ctx)
	in.Partitions = i.stored(ctx)
	in.Refused = i.rehearse(ctx)
	in.Nodes = i.nodes(ctx)
	if err := i.reach(ctx); err != nil { // then what is missing was not refused
		return Inspection{Kind: in.Kind, Err: fmt.Errorf("it is gone again, or too slow to be examined (a round trip takes %s): %w",
			in.Latency.Round(time.Millisecond), i.fault(ctx, err))}
	}
	return in
}

// LastNew tells when each agent was last given a customer, within a month.
func (i *Inspector) LastNew(ctx context.Context, agents []kefu.AgentID) (map[kefu.AgentID]time.Time, error) {
	loads, err := i.Loads(ctx, i.now(), agents)
	if err != nil {
		return nil, err
	}
	last := make(map[kefu.AgentID]time.Time, len(loads))
	for _, l := range loads {
		if !l.LastNew.IsZero() {
			last[l.Agent] = l.LastNew
		}
	}
	return last, nil
}

func (i *Inspector) kind() string {
	switch i.rdb.(type) {
	case *redis.ClusterClient:
		return "cluster"
	case *redis.Client:
		if i.sentinel {
			return "sentinel"
		}
	}
	return "server"
}

// reach asks for a sign of life. A cluster's client finds a node for a ping
// also where there is no cluster.
func (i *Inspector) reach(ctx context.Context) error {
	if cluster, ok := i.rdb.(*redis.ClusterClient); ok {
		return cluster.ClusterInfo(ctx).Err()
	}
	return i.rdb.Ping(ctx).Err()
}

// stored reads over how many partitions keys are spread.
func (i *Inspector) stored(ctx context.Context) int {
	n, err := i.rdb.Get(ctx, i.keys.layout()).Int()
	if err != nil && !isNil(err) {
		return -1
	}
	return n
}

func (i *Inspector) latency(ctx context.Context) time.Duration {
	var all []time.Duration
	for began := time.Now(); len(all) < pings && time.Since(began) < pinging; {
		start := time.Now()
		if i.rdb.Ping(ctx).Err() != nil {
			break
		}
		all = append(all, time.Since(start))
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// offset takes the middle of the question's time for the instant of the answer.
func (i *Inspector) offset(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	at, err := i.rdb.Time(ctx).Result()
	if err != nil {
		return 0, i.fault(ctx, err)
	}
	end := time.Now()
	return at.Sub(start.Add(end.Sub(start) / 2)), nil
}

// rehearse does what the scripts do, on keys of its own that it deletes.
func (i *Inspector) rehearse(ctx context.Context) []string {
	own := i.keys.prefix + ":{doctor}:" + rand.Text() + ":"
	var names []string
	for _, kind := range []string{"string", "hash", "list", "zset", "stream"} {
		names = append(names, own+kind)
	}
	reply, err := redis.NewScript(joined("rehearse")).Run(ctx, i.rdb, names, rehearsalKept.Milliseconds()).Slice()
	if err != nil {
		return []string{"EVALSHA " + i.reason(i.fault(ctx, err))}
	}
	var refused []string
	for _, one := range reply {
		text, _ := one.(string) // rehearse.lua returns nothing else
		command, why, _ := strings.Cut(text, " ")
		if text = command + " " + i.reason(fmt.Errorf("%s", i.safe(why))); !slices.Contains(refused, text) {
			refused = append(refused, text)
		}
	}
	_, err = i.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Exists(ctx, names[0])
		return nil
	})
	if err != nil {
		refused = append(refused, "MULTI "+i.reason(i.fault(ctx, err)))
	}
	return refused
}

// reason shortens what Redis says of a command it refuses.
func (i *Inspector) reason(err error) string {
	text := strings.TrimPrefix(err.Error(), errReply.Error()+" ")
	// As Redis itself says it, and for a script's commands as 7.0 and later ones do.
	for _, forbidden := range []string{"NOPERM", "The user executing the script", "ACL failure"} {
		if strings.Contains(text, forbidden) {
			return "(no permission)"
		}
	}
	return "(" + text + ")"
}

// nodes asks the masters about themselves.
func (i *Inspector) nodes(ctx context.Context) []Node {
	cluster, ok := i.rdb.(*redis.ClusterClient)
	if !ok {
		return []Node{readNode(ctx, i.rdb)}
	}
	var mu sync.Mutex
	var all []Node
	// A node that does not answer is missing, and cluster_state tells.
	_ = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		n := readNode(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, n)
		return nil
	})
	return all
}

func readNode(ctx context.Context, c redis.Cmdable) Node {
	info := parseInfo(c.Info(ctx).Val())
	n := Node{
		Version: info["redis_version"], Policy: info["maxmemory_policy"], AOF: info["aof_enabled"] == "1",
		Role: info["role"], Cluster: info["cluster_enabled"] == "1",
	}
	n.Memory, _ = strconv.ParseInt(info["used_memory"], 10, 64) // 0 for whoever does not say
	n.MaxMemory, _ = strconv.ParseInt(info["maxmemory"], 10, 64)
	n.Replicas, _ = strconv.Atoi(info["connected_slaves"])
	if n.Cluster {
		n.ClusterState = parseInfo(c.ClusterInfo(ctx).Val())["cluster_state"]
	}
	if save, err := c.ConfigGet(ctx, "save").Result(); err == nil {
		n.Save, n.SaveKnown = save["save"], true
	}
	n.Fsync = c.ConfigGet(ctx, "appendfsync").Val()["appendfsync"]
	return n
}

// parseInfo reads lines of "name:value".
func parseInfo(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out[name] = value
		}
	}
	return out
}
