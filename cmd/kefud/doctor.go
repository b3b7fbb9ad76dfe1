package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kefud/config"
	"kefud/doctor"
	"kefud/kefu"
)

type doctorFlags struct {
	config, push, app string
	json              bool
}

func (p *program) doctorCommand() *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check configuration, keys, clock, Redis, credentials, permissions and agents, and say what to do",
		Long: `Check configuration, keys, clock, Redis, credentials, permissions and agents. One
line each: ok, warn, FAIL, or - for what could not be found out from here, and
after → what to type or where to click.

It changes nothing: it sends nobody a message, leaves nothing in Redis, and gets
the access token that the running server has. It takes 30 s at most.

--push FILE holds a captured push against the configuration (- is the standard
input): the URL with its query in the first line and the body below, or a curl
command, or a raw HTTP request. --app names the app if the URL does not.

--json prints {"worst", "counts": {level: n}, "findings": [{"id", "subject",
"level", "text", "do"}]}; ids and levels (ok, unchecked, warn, FAIL) stay.

Exit codes: 0 no FAIL, 1 a FAIL, 2 the configuration has errors, which are listed
as by serve, and nothing else was checked.`,
		Example: "  kefud doctor --config config.yaml\n  kefud doctor --push push.txt --app shop\n  kefud doctor --json | jq '.findings[] | select(.level == \"FAIL\")'",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.doctor(c.Context(), f, c.InOrStdin())
		},
	}
	c.Flags().StringVar(&f.config, "config", "config.yaml", configHelp)
	c.Flags().StringVar(&f.push, "push", "", "a file with a captured push, - for the standard input")
	c.Flags().StringVar(&f.app, "app", "", "the app that the push was for, as named in the configuration")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON, for machines")
	return c
}

func (p *program) doctor(ctx context.Context, f doctorFlags, stdin io.Reader) error {
	c, table, err := p.load(f.config)
	if err != nil {
		if wrong := (*config.Error)(nil); f.json && errors.As(err, &wrong) {
			return errors.Join(err, p.report(problems(wrong), true))
		}
		return err
	}
	r, err := newRouting(c, p.now)
	if err != nil {
		return err
	}
	push, err := f.sample(r, stdin)
	if err != nil {
		return err
	}
	file, err := inspectFile(f.config, c)
	if err != nil {
		return err
	}
	o, closeAll, err := newObservers(c)
	if err != nil {
		return err
	}
	found := doctor.Examine(ctx, newSetup(file, c, table), o, push)
	if err := errors.Join(closeAll(), p.report(found, f.json)); err != nil {
		return err
	}
	if n := doctor.Tally(found)[doctor.Fail]; n > 0 {
		return fmt.Errorf("doctor: %d FAIL", n)
	}
	return nil
}

// problems are the errors of a configuration as findings.
func problems(wrong *config.Error) []doctor.Finding {
	var found []doctor.Finding
	for _, p := range wrong.Problems {
		one := config.Error{File: wrong.File, Problems: []config.Problem{{Line: p.Line, Column: p.Column, Key: p.Key, Wrong: p.Wrong}}}
		found = append(found, doctor.Finding{ID: "config.problem", Subject: "config", Level: doctor.Fail, Text: one.Error(), Do: p.Right})
	}
	return found
}

func (p *program) report(found []doctor.Finding, machine bool) error {
	if machine {
		enc := json.NewEncoder(p.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Worst    doctor.Level         `json:"worst"`
			Counts   map[doctor.Level]int `json:"counts"`
			Findings []doctor.Finding     `json:"findings"`
		}{doctor.Worst(found), doctor.Tally(found), found})
	}
	var t table
	for _, f := range found {
		text := f.Text
		if f.Do != "" {
			text += " → " + f.Do
		}
		t = append(t, []string{sign(f.Level), f.Subject, oneLine(text)})
	}
	n := doctor.Tally(found)
	_, err := fmt.Fprintf(p.stdout, "%s\n%d ok, %d warn, %d FAIL, %d not checked\n",
		t, n[doctor.OK], n[doctor.Warn], n[doctor.Fail], n[doctor.Unchecked])
	return err
}

func sign(l doctor.Level) string {
	if l == doctor.Unchecked {
		return "-"
	}
	return l.String()
}

// oneLine keeps what others have said from breaking the line or the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, text)
}

const maxSample = 1 << 20

// sample reads a captured push and holds it against the app it was for; nil if
// none was given.
func (f *doctorFlags) sample(r *routing, stdin io.Reader) (*doctor.Push, error) {
	app := kefu.AppID(f.app)
	if f.app != "" && r.table.App(app) == nil {
		return nil, usage("doctor: no app %q in %s", f.app, f.config)
	}
	if f.push == "" {
		if f.app != "" {
			return nil, usage("doctor: --app goes with --push FILE")
		}
		return nil, nil //nolint:nilnil // no sample is no error
	}
	text, err := readSample(f.push, stdin)
	if err != nil {
		return nil, usage("doctor: --push %s: %w", f.push, err)
	}
	s, err := doctor.ParseSample(text)
	if err != nil {
		return &doctor.Push{Unread: err.Error()}, nil
	}
	switch {
	case app != "":
	case len(r.table.Apps) == 1:
		app = r.table.Apps[0].ID
	default:
		app = s.App
	}
	return diagnose(r, app, s), nil
}

func readSample(name string, stdin io.Reader) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // whoever asks names the file
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // only read from
		stdin = file
	}
	return io.ReadAll(io.LimitReader(stdin, maxSample))
}
