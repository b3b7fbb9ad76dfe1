package store

import (
	"context"
	"crypto/tls"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// poolSize is how many connections there may be, on a cluster to each node, beside the
// library's 10 for pipelines, of which a joint holds one. One is made when it is needed,
// and has one call under way. The library's default goes by the number of processors, but
// what takes connections is a Redis that is slow.
const poolSize = 128

// connect makes the client that the options ask for, and a function that ends
// what the client alone does not.
func connect(o Options) (redis.UniversalClient, func()) {
	quiet()
	u := &redis.UniversalOptions{
		Addrs: o.Addrs, MasterName: o.MasterName, Username: o.Username, Password: o.Password, DB: o.DB,
		DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
		ContextTimeoutEnabled: true,
		PoolSize:              poolSize,
		// No second try: a command whose answer was lost may have been carried
		// out, and would find its own traces. (On a cluster the library tries
		// again all the same when a connection breaks.)
		MaxRetries: -1, DialerRetries: 1,
		// Nothing here needs RESP 3, and a server may know no more than 2.
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if o.TLS {
		u.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if len(o.Addrs) > 0 {
		return redis.NewUniversalClient(u), func() {}
	}
	var end func()
	u.Dialer, end = inProcess()
	u.Addrs = []string{"embedded:0"}
	u.Username, u.Password, u.DB, u.TLSConfig = "", "", 0, nil
	return redis.NewUniversalClient(u), end
}

// quiet stops the client library from writing to the standard error: what it
// has to say comes back as errors. Its logger belongs to the whole process and
// may not be set while a client is at work.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
