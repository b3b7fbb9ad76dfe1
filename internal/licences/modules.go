package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// systems are those that scripts/release.sh builds for; a test compares them.
var systems = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

// allowed are licences under which something may be built into an Apache-2.0
// program and passed on in binary form, by passing on their texts and no more.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT", "Unlicense"}

// Files whose text has to be passed on, and those of them that hold a licence.
var (
	passedOn = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)([._-].*)?$`)
	licence  = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)`)
)

// enough is how much of a file, in percent, must be a known licence's text; the
// rest is names of authors.
const enough = 75

// A module is somebody else's, with the files that belong to what is built of it.
type module struct {
	path, version string
	files         []file
}

type file struct{ path, text string }

// licences gives those whose text the file holds: none for a notice or a grant
// of patents, and none for a text that is nobody's.
func (f *file) licences() []string {
	if !f.grants() {
		return nil
	}
	cover := licensecheck.Scan([]byte(f.text))
	if cover.Percent < enough {
		return nil
	}
	var ids []string
	for _, m := range cover.Match {
		ids = append(ids, m.ID)
	}
	return ids
}

func (f *file) grants() bool { return licence.MatchString(filepath.Base(f.path)) }

// licences gives the names of all licences in the module's files, sorted.
func (m *module) licences() []string {
	var ids []string
	for i := range m.files {
		ids = append(ids, m.files[i].licences()...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// refused names every module that may not be built in, and why.
func refused(modules []module) error {
	var wrong []error
	for i := range modules {
		m := &modules[i]
		if len(m.licences()) == 0 {
			wrong = append(wrong, fmt.Errorf("%s %s: no licence found", m.path, m.version))
		}
		for j := range m.files {
			f := &m.files[j]
			ids := f.licences()
			if len(ids) == 0 && f.grants() {
				wrong = append(wrong, fmt.Errorf("%s %s: %s is no licence that is known", m.path, m.version, f.path))
			}
			for _, id := range ids {
				if !slices.Contains(allowed, id) {
					wrong = append(wrong, fmt.Errorf("%s %s: %s is %s, which is not allowed", m.path, m.version, f.path, id))
				}
			}
		}
	}
	return errors.Join(wrong...)
}

// modulesOf lists the modules of a program on all systems, sorted.
func modulesOf(program string) ([]module, error) {
	found := make(map[string]*module)
	dirs := make(map[string]bool)
	for _, system := range systems {
		out, err := list(program, system)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			part := strings.Split(strings.TrimSpace(line), "\t")
			if len(part) != 4 {
				continue // the standard library's, and our own
			}
			m := found[part[0]]
			if m == nil {
				m = &module{path: part[0], version: part[1]}
				found[part[0]] = m
			}
			if err := m.collect(part[2], part[3], dirs); err != nil {
				return nil, err
			}
		}
	}
	modules := make([]module, 0, len(found))
	for _, path := range slices.Sorted(maps.Keys(found)) {
		m := found[path]
		slices.SortFunc(m.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
		modules = append(modules, *m)
	}
	if len(modules) == 0 {
		return nil, fmt.Errorf("%s is built of no module", program)
	}
	return modules, nil
}

// list asks for a line a package: module, version, the module's folder, the
// package's; with the tag that the program is built with.
func list(program, system string) (string, error) {
	goos, goarch, _ := strings.Cut(system, "/")
	cmd := exec.Command("go", "list", "-tags=nomsgpack,validator_novalidatefn", "-deps", "-f", //nolint:noctx // it ends by itself
		`{{with .Module}}{{if not .Main}}{{.Path}}	{{.Version}}	{{.Dir}}	{{$.Dir}}{{end}}{{end}}`, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list for %s: %w", system, err)
	}
	return string(out), nil
}

// collect reads the files that count for a package: those of its folder and of
// the folders above, up to the module's. Seen are folders that were read before.
func (m *module) collect(root, dir string, seen map[string]bool) error {
	for ; !seen[dir]; dir = filepath.Dir(dir) {
		seen[dir] = true
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("look for licences: %w", err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !passedOn.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // a file of the module cache
			if err != nil {
				return fmt.Errorf("read a licence: %w", err)
			}
			path, err := filepath.Rel(root, filepath.Join(dir, e.Name()))
			if err != nil {
				return fmt.Errorf("name a licence: %w", err)
			}
			m.files = append(m.files, file{path: filepath.ToSlash(path), text: string(text)})
		}
		if dir == root {
			return nil
		}
	}
	return nil
}
