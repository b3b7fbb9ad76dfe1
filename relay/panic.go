package relay

import (
	"context"
	"fmt"
	"runtime/debug"
)

// A panicError is a panic as an error. What it was raised with may hold somebody's
// words, so that only its type is told.
type panicError struct {
	what  any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %T\n%s", p.what, p.stack) }

// safely hears the message; a panic is an error.
func (h *hearing) safely(ctx context.Context) (string, error) {
	var reply string
	var err error
	func() {
		defer func() {
			if p := recover(); p != nil {
				err = &panicError{what: p, stack: debug.Stack()}
			}
		}()
		reply, err = h.hear(ctx)
	}()
	return reply, err
}
