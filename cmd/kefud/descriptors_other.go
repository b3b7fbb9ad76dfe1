//go:build !unix

package main

// descriptors is how many files and connections this process may have open; 0 =
// nobody knows.
func descriptors() uint64 { return 0 }
