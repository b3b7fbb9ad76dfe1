//go:build !linux

package redistest

import "syscall"

// dieWithParent has no counterpart here: a test run that is killed leaves its
// processes behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
