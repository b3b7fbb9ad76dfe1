package outbox

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// faultOf finds what an error says of itself.
func faultOf(err error) Fault {
	var f Fault
	if errors.As(err, &f) {
		return f
	}
	return silent{}
}

// codeOf finds the errcode in an error, 0 if there is none.
func codeOf(err error) int {
	var coded interface{ ErrCode() int }
	if errors.As(err, &coded) {
		return coded.ErrCode()
	}
	return 0
}

// silent answers for errors that say nothing.
type silent struct{}

func (silent) Retryable() bool           { return true }
func (silent) Reason() string            { return reasonUnknown }
func (silent) AllowanceGone() bool       { return false }
func (silent) MaybeSent() bool           { return true }
func (silent) RetryAfter() time.Duration { return 0 }

// A panicError is a panic as an error. Its value may hold a customer's text, so
// only what the runtime itself says is repeated.
type panicError struct {
	what  string
	stack []byte
}

func (p *panicError) Error() string           { return "panic: " + p.what }
func (*panicError) Retryable() bool           { return false }
func (*panicError) Reason() string            { return reasonPanic }
func (*panicError) AllowanceGone() bool       { return false }
func (*panicError) MaybeSent() bool           { return true }
func (*panicError) RetryAfter() time.Duration { return 0 }

// safely makes a panic of f an error.
func safely(f func() error) error {
	var err error
	func() {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			what := fmt.Sprintf("%T", v)
			if e, ok := v.(runtime.Error); ok {
				what = e.Error()
			}
			err = &panicError{what: what, stack: debug.Stack()}
		}()
		err = f()
	}()
	return err
}
