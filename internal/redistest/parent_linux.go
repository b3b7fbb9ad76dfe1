package redistest

import "syscall"

// dieWithParent makes the kernel end the process with the test's own, so that
// a test run that is killed leaves nothing behind.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
