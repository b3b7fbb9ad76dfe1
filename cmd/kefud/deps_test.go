// The rules of who may import whom, held by a test so that breaking one is
// answered with its reason.

package main_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "kefud"

// A house says which of our own packages a package may import, and why no more.
type house struct {
	pkg    string
	may    []string
	all    bool // no limit
	reason string
}

// houses lists every package of the module. A new package takes its place here.
var houses = []house{
	{pkg: "kefud/cmd/kefud", all: true},
	{pkg: "kefud/config", may: []string{"kefud/kefu"}, reason: "config turns YAML into values; whoever uses one takes it in Options of its own"},
	{pkg: "kefud/doctor", may: []string{"kefud/kefu"}, reason: "doctor judges what was observed; Redis, WeChat and the server answer it through its own interfaces"},
	{pkg: "kefud/handler", may: []string{"kefud/kefu", "kefud/wechat", "kefud/internal/memo", "kefud/internal/budget"}, reason: "handler knows HTTP and WeChat's envelope; decisions reach it through its own interface"},
	{pkg: "kefud/kefu", reason: "kefu holds the nouns that all others share: what it imports, everybody imports"},
	{pkg: "kefud/outbox", may: []string{"kefud/kefu"}, reason: "outbox delivers what is owed; queue and sender reach it through its own interfaces"},
	{pkg: "kefud/presence", may: []string{"kefud/kefu"}, reason: "presence copies a list from one place to another; both ends are its own interfaces"},
	{pkg: "kefud/relay", may: []string{"kefud/kefu"}, reason: "relay knows commands and selection; queue and store reach it through its own interfaces"},
	{pkg: "kefud/router", may: []string{"kefud/kefu", "kefud/internal/memo"}, reason: "router decides; store, presence and forwarders reach it through its own interfaces"},
	{pkg: "kefud/store", may: []string{"kefud/kefu", "kefud/internal/memo", "kefud/internal/budget"}, reason: "store keeps what it is told and decides nothing but who wins a race"},
	{pkg: "kefud/wechat", may: []string{"kefud/kefu"}, reason: "wechat translates between WeChat's words and ours and knows nobody who uses them"},
	{pkg: "kefud/internal/licences", reason: "licences lists what is built into the program, and is no part of it"},
	{pkg: "kefud/internal/budget", reason: "budget is a context that ends; what ends with it is its user's business"},
	{pkg: "kefud/internal/garbage", reason: "garbage knows the heap, and nothing of what is in it"},
	{pkg: "kefud/internal/sink", may: []string{"kefud/internal/race"}, reason: "sink passes lines on, whatever they say"},
	{pkg: "kefud/internal/memo", reason: "memo is a map that fills itself; what is in it is its user's business"},
	{pkg: "kefud/internal/race", reason: "race tells anybody's tests what they run under, so it depends on nobody"},
	{pkg: "kefud/internal/redistest", reason: "redistest starts a Redis for anybody's tests, so it depends on nobody"},
	{pkg: "kefud/internal/soak", reason: "soak says how long anybody's tests last, so it depends on nobody"},
	{pkg: "kefud/internal/simulator", reason: "simulator plays WeChat by WeChat's documents: sharing code with the server would hide the server's mistakes"},
}

// An owned import belongs to few packages, or to none. The name of an import
// that ends in "/..." stands for everything below it too.
type owned struct {
	name   string
	in     []string // these may import it, and so may their tests
	tests  []string // only the tests of these may
	reason string
}

var ownedImports = []owned{
	{name: "github.com/gin-gonic/gin/...", in: []string{"kefud/handler"}, reason: "only handler knows gin, so that everything else is tested without HTTP"},
	{name: "github.com/redis/go-redis/...", in: []string{"kefud/store"}, reason: "only store knows Redis, so that its keys and scripts have one home"},
	{name: "github.com/alicebob/miniredis/...", in: []string{"kefud/store"}, reason: "the embedded server belongs to store, like the real one"},
	{name: "github.com/yuin/gopher-lua/...", in: []string{"kefud/store"}, reason: "Lua belongs to store, with the embedded server"},
	{name: "github.com/silenceper/wechat/v2", reason: "the root package's init sends all of logrus to stdout at debug level"},
	{name: "github.com/silenceper/wechat/v2/...", tests: []string{"kefud/wechat"}, reason: "the SDK is only the yardstick of wechat's own tests"},
	{name: "github.com/spf13/cobra/...", in: []string{"kefud/cmd/kefud"}, reason: "only cmd has a command line"},
	{name: "github.com/goccy/go-yaml/...", in: []string{"kefud/config"}, reason: "only config reads YAML"},
	{name: "github.com/go-playground/validator/...", in: []string{"kefud/config"}, reason: "only config checks settings; everybody else gets them checked"},
	{name: "github.com/sirupsen/logrus/...", reason: "one logger, zerolog, and it is passed in"},
	{name: "text/template", tests: []string{"kefud/kefu"}, reason: "it calls methods by name, and whoever links it keeps every exported method of all that is built in: a third of the program"},
	{name: "log/...", in: []string{"kefud/cmd/kefud"}, reason: "the logger is zerolog and is passed in; only net/http, in cmd, asks for one of these"},
}

// What kefu must not do, and why.
const (
	reasonUnknown = "every package has a place in houses, with the reason for what it may import"
	reasonLibrary = "kefu is imported by everybody, so it brings nothing along but the standard library"
	reasonOutside = "kefu is values: no file, no network, no chance; these are for whoever uses it"
	reasonClock   = "in kefu the time is an argument, so that every decision can be repeated"
	reasonLua     = "Lua runs inside Redis, and store is the only one who talks to Redis"
)

// A unit is one package as the rules see it. Sources holds its own files, not
// those of its tests.
type unit struct {
	ImportPath, Dir                    string
	Imports, TestImports, XTestImports []string
	GoFiles                            []string
	Sources                            map[string]string
}

func (u *unit) tests() []string { return slices.Concat(u.TestImports, u.XTestImports) }

// violations lists what breaks a rule, one line each: who, what, and the reason.
// Scripts are the paths of all Lua files, from the module's root.
func violations(units []unit, scripts []string) []string {
	var found []string
	for i := range units {
		u := &units[i]
		found = append(found, oursViolations(u)...)
		found = append(found, ownedViolations(u)...)
		found = append(found, leafViolations(u)...)
		for name, text := range u.Sources {
			if u.ImportPath != "kefud/store" && strings.Contains(text, "redis.call(") {
				found = append(found, u.ImportPath+"/"+name+" holds Lua: "+reasonLua)
			}
		}
	}
	for _, path := range scripts {
		if !strings.HasPrefix(path, "store/") {
			found = append(found, path+" is Lua: "+reasonLua)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// oursViolations holds the direction among our own packages. The tests of a
// package may use internal/… besides.
func oursViolations(u *unit) []string {
	at := slices.IndexFunc(houses, func(h house) bool { return h.pkg == u.ImportPath })
	if at < 0 {
		return []string{u.ImportPath + " is not in the table: " + reasonUnknown}
	}
	h := houses[at]
	if h.all {
		return nil
	}
	inside := strings.HasPrefix(u.ImportPath, module+"/internal/")
	var found []string
	refuse := func(imported string) {
		found = append(found, u.ImportPath+" imports "+imported+": "+h.reason)
	}
	for _, imported := range u.Imports {
		if isOurs(imported) && !slices.Contains(h.may, imported) {
			refuse(imported)
		}
	}
	for _, imported := range u.tests() {
		helper := !inside && strings.HasPrefix(imported, module+"/internal/")
		if isOurs(imported) && !helper && imported != u.ImportPath && !slices.Contains(h.may, imported) {
			refuse(imported + " in a test")
		}
	}
	return found
}

// ownedViolations holds who may import what of others. The first name in the
// table that stands for an import decides.
func ownedViolations(u *unit) []string {
	var found []string
	for _, imported := range u.Imports {
		if o := ownerOf(imported); !slices.Contains(o.in, u.ImportPath) && o.name != "" {
			found = append(found, u.ImportPath+" imports "+imported+": "+o.reason)
		}
	}
	for _, imported := range u.tests() {
		o := ownerOf(imported)
		if !slices.Contains(slices.Concat(o.in, o.tests), u.ImportPath) && o.name != "" {
			found = append(found, u.ImportPath+" imports "+imported+" in a test: "+o.reason)
		}
	}
	return found
}

// ownerOf finds the rule for an import; one without a name if there is none.
func ownerOf(imported string) owned {
	for _, o := range ownedImports {
		if covers(o.name, imported) {
			return o
		}
	}
	return owned{}
}

// leafViolations holds what is asked of kefu alone.
func leafViolations(u *unit) []string {
	if u.ImportPath != "kefud/kefu" {
		return nil
	}
	var found []string
	for _, imported := range u.Imports {
		if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
			found = append(found, u.ImportPath+" imports "+imported+": "+reasonLibrary)
		}
		for _, outside := range []string{"os/...", "net/...", "syscall/...", "math/rand/...", "crypto/rand"} {
			if covers(outside, imported) {
				found = append(found, u.ImportPath+" imports "+imported+": "+reasonOutside)
			}
		}
	}
	for name, text := range u.Sources {
		for _, call := range clockCalls(name, text) {
			found = append(found, u.ImportPath+"/"+name+" uses "+call+": "+reasonClock)
		}
	}
	return found
}

// clockCalls finds what reads or waits for the clock in a source file.
func clockCalls(name, text string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, s.Sel.Name) {
				found = append(found, "time."+s.Sel.Name)
			}
		}
		return true
	})
	return found
}

func isOurs(imported string) bool { return covers(module+"/...", imported) }

// covers reports whether a name, "/..." at its end included, stands for an import.
func covers(name, imported string) bool {
	root, below := strings.CutSuffix(name, "/...")
	return imported == root || below && strings.HasPrefix(imported, root+"/")
}

func TestImportsFollowTheRules(t *testing.T) {
	t.Parallel()
	units := listUnits(t)
	for _, line := range violations(units, listScripts(t, units[0])) {
		t.Error(line)
	}
}

// Each rule is broken once, to see that it is noticed, and that nothing else is.
func TestEveryRuleCanFail(t *testing.T) {
	t.Parallel()
	broken := make(map[string]bool)
	expect := func(what, reason string, units []unit, scripts ...string) {
		t.Helper()
		broken[reason] = true
		got := violations(units, scripts)
		if len(got) == 0 {
			t.Errorf("%s: nobody noticed", what)
		}
		for _, line := range got {
			if !strings.HasSuffix(line, ": "+reason) {
				t.Errorf("%s: got %q, want the reason %q", what, line, reason)
			}
		}
	}

	for _, h := range houses {
		if !h.all {
			expect(h.pkg+" sideways", h.reason, []unit{{ImportPath: h.pkg, Imports: []string{"kefud/cmd/kefud"}}})
			expect(h.pkg+" sideways in a test", h.reason, []unit{{ImportPath: h.pkg, XTestImports: []string{"kefud/cmd/kefud"}}})
		}
	}
	for _, o := range ownedImports {
		example := strings.TrimSuffix(o.name, "/...")
		if strings.HasSuffix(o.name, "/v2/...") {
			example += "/util" // the root has a rule of its own
		}
		expect(o.name, o.reason, []unit{{ImportPath: "kefud/outbox", Imports: []string{example}}})
		expect(o.name+" in a test", o.reason, []unit{{ImportPath: "kefud/outbox", TestImports: []string{example}}})
		for _, tester := range o.tests {
			expect(o.name+" outside of tests", o.reason, []unit{{ImportPath: tester, Imports: []string{example}}})
		}
	}
	leaf := func(text string, imports ...string) []unit {
		return []unit{{ImportPath: "kefud/kefu", Imports: imports, Sources: map[string]string{"a.go": "package kefu\n" + text}}}
	}
	expect("a library in kefu", reasonLibrary, leaf("", "golang.org/x/text/width"))
	expect("files in kefu", reasonOutside, leaf("", "os"))
	expect("network in kefu", reasonOutside, leaf("", "net/http"))
	expect("chance in kefu", reasonOutside, leaf("", "math/rand/v2"))
	expect("the clock in kefu", reasonClock, leaf("var started = time.Now()"))
	expect("a new package", reasonUnknown, []unit{{ImportPath: "kefud/util"}})
	expect("a script elsewhere", reasonLua, nil, "router/seat.lua")
	expect("a script in Go", reasonLua, []unit{{ImportPath: "kefud/outbox", Sources: map[string]string{"a.go": `"redis.call('GET')"`}}})

	for _, reason := range allReasons() {
		if !broken[reason] {
			t.Errorf("no case breaks the rule %q", reason)
		}
	}
}

func TestWhatIsAllowedPasses(t *testing.T) {
	t.Parallel()
	allowed := []unit{
		{ImportPath: "kefud/cmd/kefud", Imports: []string{"kefud/store", "kefud/internal/simulator", "github.com/spf13/cobra"}},
		{ImportPath: "kefud/handler", Imports: []string{"kefud/kefu", "kefud/wechat", "github.com/gin-gonic/gin/binding"}},
		{ImportPath: "kefud/store", Imports: []string{"github.com/redis/go-redis/v9"}, XTestImports: []string{"kefud/store", "kefud/internal/redistest"}},
		{ImportPath: "kefud/wechat", TestImports: []string{"github.com/silenceper/wechat/v2/util"}},
		{ImportPath: "kefud/kefu", Imports: []string{"time", "text/template/parse"}, TestImports: []string{"text/template"}, Sources: map[string]string{"a.go": "package kefu\nvar day = 24 * time.Hour"}},
		{ImportPath: "kefud/router", Imports: []string{"time"}, Sources: map[string]string{"a.go": "package router\nvar now = time.Now"}},
	}
	if got := violations(allowed, []string{"store/lua/seat.lua"}); len(got) > 0 {
		t.Errorf("refused: %s", strings.Join(got, "\n"))
	}
}

func allReasons() []string {
	all := []string{reasonUnknown, reasonLibrary, reasonOutside, reasonClock, reasonLua}
	for _, h := range houses {
		if !h.all {
			all = append(all, h.reason)
		}
	}
	for _, o := range ownedImports {
		all = append(all, o.reason)
	}
	return all
}

// listUnits asks the go command for all packages of the module.
func listUnits(t *testing.T) []unit {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json", module+"/...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var units []unit
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var u unit
		err := dec.Decode(&u)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		u.Sources = make(map[string]string, len(u.GoFiles))
		for _, name := range u.GoFiles {
			text, err := fs.ReadFile(os.DirFS(u.Dir), name)
			if err != nil {
				t.Fatal(err)
			}
			u.Sources[name] = string(text)
		}
		units = append(units, u)
	}
	if len(units) < 2 {
		t.Fatalf("go list knows %d packages", len(units))
	}
	return units
}

// listScripts finds the module's Lua files, as paths from its root, which it
// finds from any one of its packages.
func listScripts(t *testing.T, u unit) []string {
	t.Helper()
	root := strings.TrimSuffix(filepath.ToSlash(u.Dir), strings.TrimPrefix(u.ImportPath, module))
	var scripts []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".lua") {
			scripts = append(scripts, path)
		}
		return err
	})
	if err != nil {
		t.Fatalf("walk %s: %v", root, err)
	}
	return scripts
}
