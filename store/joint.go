package store

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A joint sends the commands of all callers over one connection, one behind the other,
// and what has come while the last write was under way in one: what a busy server spends
// on its commands is mostly system calls, its own and those of Redis. Nobody waits for
// anybody else's answer before his command goes out.
//
// It does nothing twice: the client is told not to try again, and so a command that was
// sent when the connection broke fails.
type joint struct {
	rdb  redis.UniversalClient
	pipe *redis.AutoPipeliner // nil = each goes by itself

	mu    sync.Mutex
	ready []*call // those that nobody has handed over yet
}

// A call is a command on its way.
type call struct {
	ctx    context.Context //nolint:containedctx // who hands it over is another caller
	cmd    *redis.Cmd
	answer redis.AutoFuture
	sent   bool
}

// jointMost is how many commands go in a write, about.
const jointMost = 200

// newJoint makes what sends commands together, where that helps. The embedded store
// makes no system calls. On a cluster a node that does not answer would hold up what
// goes to the others.
func newJoint(rdb redis.UniversalClient, embedded bool) (*joint, error) {
	j := &joint{rdb: rdb}
	if _, single := rdb.(*redis.Client); !single || embedded {
		return j, nil
	}
	var err error
	j.pipe, err = rdb.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{MaxBatchSize: jointMost, FullDuplex: true})
	if err != nil {
		return nil, fmt.Errorf("send commands together: %w", err)
	}
	return j, nil
}

// run runs a script. When ctx ends, the command may still be carried out, as with
// every command whose answer is not waited for.
func (t *joint) run(ctx context.Context, j job) (any, error) {
	cmd := j.command(ctx, "evalsha", j.script.hash)
	err := t.process(ctx, cmd)
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") { // to look allocates
		cmd = j.command(ctx, "eval", j.script.text)
		err = t.process(ctx, cmd)
	}
	if err != nil {
		return nil, err // cmd may still be written to
	}
	return cmd.Result()
}

func (t *joint) process(ctx context.Context, cmd *redis.Cmd) error {
	if t.pipe != nil {
		return t.submit(ctx, cmd).WaitContext(ctx)
	}
	return t.rdb.Process(ctx, cmd)
}

// submit hands a command over. Callers who can run do so first: whoever is back before
// the others hands over what all of them have come to ask, and it goes out in one write.
// Else the first command would go out by itself, and the system take as long for it as
// for all of them.
func (t *joint) submit(ctx context.Context, cmd *redis.Cmd) redis.AutoFuture {
	c := &call{ctx: ctx, cmd: cmd}
	t.mu.Lock()
	t.ready = append(t.ready, c)
	t.mu.Unlock()
	runtime.Gosched()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.sent {
		for _, r := range t.ready {
			r.answer, r.sent = t.pipe.Submit(r.ctx, r.cmd), true //nolint:contextcheck // each has its own
		}
		clear(t.ready)
		t.ready = t.ready[:0]
	}
	return c.answer
}

// command is the script's call, by its hash or its text. The client library takes a text
// by reference as well, which saves a copy.
func (j *job) command(ctx context.Context, name, script any) *redis.Cmd {
	const first = 3 // the command, the script and the number of keys stand before
	args := j.room
	if args == nil {
		args = make([]any, 0, first+len(j.names)+len(j.args))
	}
	args = append(args, name, script, len(j.names))
	for i := range j.names {
		args = append(args, &j.names[i])
	}
	cmd := redis.NewCmd(ctx, append(args, j.args...)...)
	if len(j.names) > 0 {
		cmd.SetFirstKeyPos(first)
	}
	return cmd
}
