// Command licences lists the modules that are built into kefud, on every system
// it is released for, with their licences; with -texts it prints the licences
// themselves, which whoever passes the program on has to pass on too. A licence
// that is not on the list of allowed ones, and one that is missing, is an error.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	texts := flag.Bool("texts", false, "print the texts instead of the list")
	flag.Parse()
	if err := run(os.Stdout, *texts); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, texts bool) error {
	modules, err := modulesOf("kefud/cmd/kefud")
	if err != nil {
		return err
	}
	if err := refused(modules); err != nil {
		return err
	}
	var page bytes.Buffer
	if texts {
		writeTexts(&page, modules)
	} else {
		writeList(&page, modules)
	}
	_, err = page.WriteTo(w)
	return err
}

const head = `# Licences

What is built into the program, on every system it is released for. ` + "`make licences`" + ` writes this list; a test
fails when it is out of date, or when a licence is not one of those allowed in [internal/licences](../internal/licences).
kefud itself is under [Apache-2.0](../LICENSE), Go's standard library under BSD-3-Clause. The texts are in every
archive and image, as NOTICES.

| module | version | licence |
|---|---|---|
`

func writeList(w *bytes.Buffer, modules []module) {
	w.WriteString(head)
	for i := range modules {
		m := &modules[i]
		fmt.Fprintf(w, "| %s | %s | %s |\n", m.path, m.version, strings.Join(m.licences(), ", "))
	}
}

// writeTexts prints each text once, below all the modules that it is of.
func writeTexts(w *bytes.Buffer, modules []module) {
	var order []string
	of := make(map[string][]string)
	for i := range modules {
		m := &modules[i]
		for _, f := range m.files {
			text := strings.TrimSpace(strings.ReplaceAll(f.text, "\r\n", "\n"))
			if of[text] == nil {
				order = append(order, text)
			}
			if name := m.path + " " + m.version; !slices.Contains(of[text], name) {
				of[text] = append(of[text], name)
			}
		}
	}
	w.WriteString("kefud contains these modules, under the licences that follow them.\n")
	for _, text := range order {
		fmt.Fprintf(w, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(of[text], "\n"), text)
	}
}
