package store

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// A stage runs the scripts of an embedded server, which by itself makes a Lua state
// and opens all libraries for every call: two thirds of what a call costs. Here one
// state serves all calls. It sees every command before the server does, and takes
// those that run scripts. Like the server it holds the server's lock meanwhile, which
// also guards all of its own.
type stage struct {
	server *miniredis.Miniredis
	known  map[string]*lua.FunctionProto // by SHA-1
	state  *lua.LState

	// What a script calls goes through a peer of its own. Its Ctx says that the lock
	// is held already.
	peer   *server.Peer
	answer bytes.Buffer
	out    *bufio.Writer
	in     *bufio.Reader
}

// newStage puts a stage before a server, which nobody uses yet.
func newStage(m *miniredis.Miniredis) (*stage, error) {
	s := &stage{server: m, known: map[string]*lua.FunctionProto{}}
	s.out, s.in = bufio.NewWriter(&s.answer), bufio.NewReader(&s.answer)
	s.peer = server.NewPeer(s.out)
	s.state = newState(s)
	conn, err := m.Dial() // starts the server
	if err != nil {
		return nil, fmt.Errorf("start the embedded server: %w", err)
	}
	defer func() { _ = conn.Close() }()
	// The only one who makes a Ctx for what a script calls is the server.
	m.Server().SetPreHook(func(p *server.Peer, command string, _ ...string) bool {
		if command == "PING" {
			s.peer.Ctx = p.Ctx
		}
		return false
	})
	const script = "return redis.call('PING')"
	if _, err := fmt.Fprintf(conn, "*3\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n$1\r\n0\r\n", len(script), script); err != nil {
		return nil, fmt.Errorf("ask the embedded server: %w", err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || answer != "+PONG\r\n" {
		return nil, fmt.Errorf("the embedded server answers %q: %w", answer, err)
	}
	m.Server().SetPreHook(s.take)
	return s, nil
}

// newState makes a Lua state as scripts of Redis have it.
func newState(s *stage) *lua.LState {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString, lua.MathLibName: lua.OpenMath,
	} {
		l.Push(l.NewFunction(open))
		l.Push(lua.LString(name))
		l.Call(1, 0)
	}
	redis := l.NewTable()
	redis.RawSetString("call", l.NewFunction(func(l *lua.LState) int { return s.call(l, l.RaiseError) }))
	redis.RawSetString("pcall", l.NewFunction(func(l *lua.LState) int {
		return s.call(l, func(format string, args ...any) {
			l.Push(told(l, "err", fmt.Sprintf(format, args...)))
		})
	}))
	redis.RawSetString("sha1hex", l.NewFunction(func(l *lua.LState) int {
		l.Push(lua.LString(digestOf(l.CheckString(1))))
		return 1
	}))
	l.SetGlobal("redis", redis)
	none := l.NewFunction(func(l *lua.LState) int {
		l.RaiseError("Script attempted to use global variable '%s'", l.ToString(2))
		return 0
	})
	guard := l.NewTable()
	guard.RawSetString("__index", none)
	guard.RawSetString("__newindex", none)
	l.SetMetatable(l.G.Global, guard)
	return l
}

// take is asked about every command, and reports whether it has answered it.
func (s *stage) take(p *server.Peer, command string, args ...string) bool {
	if p == s.peer {
		return false
	}
	switch command {
	case "EVALSHA", "EVAL":
	case "SCRIPT":
		s.server.Lock()
		clear(s.known) // as far as they are loaded, they come again
		s.server.Unlock()
		return false
	default:
		return false
	}
	keys := 0
	if len(args) > 1 {
		keys, _ = strconv.Atoi(args[1])
	}
	if len(args) < 2 || keys < 0 || keys > len(args)-2 {
		return false // the server says what is wrong
	}
	s.server.Lock()
	defer s.server.Unlock()
	name := args[0]
	if command == "EVAL" {
		name = s.learn(args[0])
	}
	script := s.known[name]
	if script == nil {
		return false
	}
	s.run(p, script, args[2:2+keys], args[2+keys:])
	return true
}

// digestOf is how Redis names scripts, and what redis.sha1hex gives.
func digestOf(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// learn compiles a script and gives its name, which nobody knows if it is none.
func (s *stage) learn(text string) string {
	name := digestOf(text)
	if s.known[name] != nil {
		return name
	}
	chunk, err := parse.Parse(strings.NewReader(text), "<string>")
	if err != nil {
		return name
	}
	if script, err := lua.Compile(chunk, ""); err == nil {
		s.known[name] = script
	}
	return name
}

func (s *stage) run(p *server.Peer, script *lua.FunctionProto, keys, args []string) {
	l := s.state
	defer l.SetTop(0)
	l.G.Global.RawSetString("KEYS", textTable(l, keys))
	l.G.Global.RawSetString("ARGV", textTable(l, args))
	l.Push(l.NewFunctionFromProto(script))
	if err := l.PCall(0, 1, nil); err != nil {
		p.WriteError("ERR " + err.Error())
		return
	}
	write(p, l.Get(-1))
}

func textTable(l *lua.LState, texts []string) *lua.LTable {
	t := l.CreateTable(len(texts), 0)
	for _, text := range texts {
		t.Append(lua.LString(text))
	}
	return t
}

// told is a reply of one word, as Lua sees it: what is "ok", or "err".
func told(l *lua.LState, kind, text string) *lua.LTable {
	t := l.CreateTable(0, 1)
	t.RawSetString(kind, lua.LString(text))
	return t
}

// call has the server carry out what the script asks for. It gives how many values
// it has left for the script.
func (s *stage) call(l *lua.LState, fail func(string, ...any)) int {
	args := make([]string, l.GetTop())
	for i := range args {
		switch v := l.Get(i + 1).(type) {
		case lua.LString:
			args[i] = string(v)
		case lua.LNumber:
			args[i] = v.String()
		default:
			fail("%s", "Lua redis lib command arguments must be strings or integers")
			return 1
		}
	}
	if len(args) == 0 {
		fail("%s", "Please specify at least one argument for this redis lib call")
		return 1
	}
	s.answer.Reset()
	s.server.Server().Dispatch(s.peer, args)
	_ = s.out.Flush() // into memory
	s.in.Reset(&s.answer)
	reply, err := server.ParseReply(s.in)
	if err != nil {
		fail("%s", err.Error())
		return 1
	}
	l.Push(value(l, reply))
	return 1
}

// value gives a reply as Lua sees it.
func value(l *lua.LState, reply any) lua.LValue {
	switch r := reply.(type) {
	case int:
		return lua.LNumber(r)
	case string:
		return lua.LString(r)
	case server.Simple:
		return told(l, "ok", string(r))
	case []any:
		t := l.CreateTable(len(r), 0)
		for _, one := range r {
			t.Append(value(l, one))
		}
		return t
	default: // nil; there are no others
		return lua.LFalse
	}
}

// write answers with what a script has returned.
func write(p *server.Peer, v lua.LValue) {
	switch v := v.(type) {
	case lua.LBool:
		if v {
			p.WriteInt(1)
			return
		}
	case lua.LNumber:
		p.WriteInt(int(v))
		return
	case lua.LString:
		p.WriteBulk(string(v))
		return
	case *lua.LTable:
		writeTable(p, v)
		return
	}
	p.WriteNull()
}

func writeTable(p *server.Peer, t *lua.LTable) {
	if text, ok := t.RawGetString("err").(lua.LString); ok {
		p.WriteError(string(text))
		return
	}
	if text, ok := t.RawGetString("ok").(lua.LString); ok {
		p.WriteInline(string(text))
		return
	}
	n := 0
	for t.RawGetInt(n+1) != lua.LNil {
		n++
	}
	p.WriteLen(n)
	for i := range n {
		write(p, t.RawGetInt(i+1))
	}
}
