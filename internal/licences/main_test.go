package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListIsUpToDate(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("../../docs/licences.md")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := run(&got, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("docs/licences.md is not what is built in; make licences writes it (-there +should be):\n%s", diff)
	}
}

// Whoever passes the program on passes on what he has to.
func TestTextsAreOfEveryModule(t *testing.T) {
	t.Parallel()
	modules, err := modulesOf("kefud/cmd/kefud")
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	writeTexts(&page, modules)
	text := page.String()
	for i := range modules {
		if name := modules[i].path + " " + modules[i].version; !strings.Contains(text, "\n"+name+"\n") {
			t.Errorf("no text is of %s", name)
		}
	}
	for _, owed := range []string{
		"Copyright (c) 2014 Manuel Martínez-Almeida",              // gin, MIT
		"Prometheus instrumentation library for Go applications",  // a NOTICE
		"Additional IP Rights Grant (Patents)",                    // a grant
		"Copyright (c) 2013 The Go Authors. All rights reserved.", // in a folder below a module's
	} {
		if !strings.Contains(text, owed) {
			t.Errorf("the texts lack %q", owed)
		}
	}
}

func TestWhatIsNotAllowedIsRefused(t *testing.T) {
	t.Parallel()
	gpl := "This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License " +
		"as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version."
	for _, tt := range []struct {
		name, want string
		files      []file
	}{
		{"nothing", "example.org/m v1.2.3: no licence found", nil},
		{"a notice alone", "no licence found", []file{{"NOTICE", "by somebody"}}},
		{"words of his own", "LICENSE.md is no licence that is known", []file{{"LICENSE.md", "Ask me first."}}},
		{"another's", "COPYING is GPL-3.0-or-later, which is not allowed", []file{{"LICENSE", mit}, {"COPYING", gpl}}},
	} {
		err := refused([]module{{path: "example.org/m", version: "v1.2.3", files: tt.files}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := refused([]module{{path: "example.org/m", version: "v1.2.3", files: []file{{"LICENSE", mit}}}}); err != nil {
		t.Errorf("MIT: %v", err)
	}
}

const mit = `MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

// What is listed for systems that nobody builds for, or not for all, says too
// much or too little.
func TestSystemsAreThoseOfTheRelease(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../scripts/release.sh")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^systems='(.*)'$`).FindSubmatch(script)
	if line == nil {
		t.Fatal("scripts/release.sh names no systems")
	}
	if diff := cmp.Diff(systems, strings.Fields(string(line[1]))); diff != "" {
		t.Errorf("systems (-here +scripts/release.sh):\n%s", diff)
	}
}
