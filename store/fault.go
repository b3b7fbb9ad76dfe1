package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// What a fault can be, for errors.Is within this package.
var (
	errRefused = errors.New("not tried: it has not answered for a while")
	errReply   = errors.New("answered")
	errSilent  = errors.New("no answer")
	errReach   = errors.New("not reached")
	errLayout  = errors.New("another layout")
)

// fault turns an error of the client library into one that is safe to print:
// no password, no key and no argument of a command. Of the causes only the end
// of ctx can be asked for with errors.Is from outside.
func (s *Store) fault(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var reply redis.Error
	var timeout net.Error
	switch {
	case errors.As(err, &reply):
		return fmt.Errorf("%w %s", errReply, s.safe(reply.Error()))
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
			return context.DeadlineExceeded // a connection may know of it before ctx does
		}
		return fmt.Errorf("%w within %s", errSilent, s.timeout)
	}
	return fmt.Errorf("%w: %s", errReach, s.safe(err.Error()))
}

// safe cuts a text before the first quotation, which is where Redis repeats
// keys and arguments, and blots out the password and the user's name.
func (s *Store) safe(text string) string {
	const enough = 160
	if i := strings.IndexAny(text, "'\"`"); i >= 0 {
		text = text[:i]
	}
	text = s.secrets.Replace(text)
	return strings.ToValidUTF8(strings.TrimSpace(text[:min(len(text), enough)]), "")
}

func secrets(o Options) *strings.Replacer {
	var pairs []string
	for _, secret := range []string{o.Password, o.Username} {
		if secret != "" {
			pairs = append(pairs, secret, "<redacted>")
		}
	}
	return strings.NewReplacer(pairs...)
}
