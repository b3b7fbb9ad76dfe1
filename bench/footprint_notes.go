package main

// notes are what the figures do not say by themselves.
const notes = `
- **The program.** A third of it went with text/template: whoever links it keeps every exported method of everything, for the
  templates might call it. The largest of what is left are go-redis, Go's runtime, net/http and TLS.
- **Rest.** What is left is waking up: the store is looked at every 0.4 s, presence and outbox once a second. Each time the
  runtime's own watcher is awake for some milliseconds, which is a third of it.
- **Connections.** net/http keeps a reader and a writer of 4 KiB each for a connection, which cannot be made smaller, and a
  goroutine, whose stack has grown to 8 or 16 KiB while it answered. The rest is the connection itself.
- **Reloads.** Everything is built beside the pushes and swapped at once; nobody holds a lock meanwhile. Reading the file takes
  a core's time, which pushes feel only where cores are short. Who is there is made by whoever learns something, and only for
  the desk it is about; pushes meanwhile see what was known before.
- **The embedded store.** Lua is interpreted in Go. One Lua state runs all scripts; what a script calls goes through miniredis.
`
