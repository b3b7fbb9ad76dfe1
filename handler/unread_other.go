//go:build !unix

package handler

import "net"

// unread reports whether something has come on a connection that the server has not
// read yet, which is not known on this system.
func unread(net.Conn) bool { return false }
