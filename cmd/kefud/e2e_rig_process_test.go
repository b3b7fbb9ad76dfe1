package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"kefud/config"
	"kefud/internal/simulator"
)

// A process is kefud as a process of its own. It is killed at the end of the
// test if it still runs.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   *logbook
	ended chan error
}

// launch starts kefud with arguments and additions to the environment.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	return launchInto(t, env, nil, exe, args...)
}

// launchInto is launch by a command that becomes kefud, with stderr at a file; nil =
// the process's log.
func launchInto(t *testing.T, env []string, stderr *os.File, exe string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), exe, args...), log: &logbook{}, ended: make(chan error, 1)}
	p.cmd.Env = append(append(os.Environ(), asKefud+"=1"), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if stderr != nil {
		p.cmd.Stderr = stderr
	}
	held, err := p.cmd.StdinPipe() // the process ends when this end is closed
	must(t, err)
	must(t, p.cmd.Start())
	done := make(chan struct{})
	go func() {
		p.ended <- p.cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails if it has ended
		_ = held.Close()
		<-done
		if t.Failed() {
			t.Logf("the log of process %d:\n%s", p.cmd.Process.Pid, p.log.tail())
		}
	})
	return p
}

// serving waits until the process serves and gives its address.
func (p *process) serving() string {
	p.t.Helper()
	var address string
	eventually(p.t, "the process serves", func() bool {
		for line := range strings.Lines(p.log.String()) {
			var l struct{ Message, Listen string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Message == "serving" {
				address = "http://" + l.Listen
			}
		}
		return address != ""
	})
	return address
}

// signal sends a signal.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(s))
}

// exit waits for the end of the process and gives its exit code.
func (p *process) exit(within time.Duration) int {
	p.t.Helper()
	select {
	case err := <-p.ended:
		if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
			p.t.Fatalf("wait for the process: %v", err)
		}
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("the process did not end within %s", within)
		return -1
	}
}

// A fleet is several processes on one Redis, behind one simulated WeChat whose
// pushes they take turns to get.
type fleet struct {
	*rig
	env       []string
	path      string
	processes []*process
	urls      []string
}

// launchFleet starts a fleet and returns once every process knows who is there.
func launchFleet(t *testing.T, size int, o rigOptions) *fleet {
	t.Helper()
	f := newFleet(t, o)
	for range size {
		f.add()
	}
	f.settle(o)
	return f
}

// newFleet makes a fleet without processes.
func newFleet(t *testing.T, o rigOptions) *fleet {
	t.Helper()
	r := &rig{
		t: t, wire: newWire(), log: &logbook{}, clock: &clock{}, tapped: map[*simulator.Customer]bool{},
		accounts: map[string]*simulator.Account{}, agents: map[string]*simulator.Agent{},
	}
	o.box.Transport, o.box.Now = r.wire, r.clock.now
	r.box = simulator.New(o.box)
	t.Cleanup(r.box.Close)
	api, err := r.box.Start(t.Context(), "")
	must(t, err)
	f := &fleet{rig: r, path: file(t, "config.yaml", o.config)}
	env := o.variables(api)
	for name, value := range env {
		f.env = append(f.env, name+"="+value)
	}
	r.config, err = config.Parse(f.path, []byte(o.config), lookup(env))
	must(t, err)
	t.Cleanup(func() {
		var logs []*logbook
		for _, p := range f.processes {
			logs = append(logs, p.log)
		}
		f.discreet(f.urls, logs...)
	})
	return f
}

// settle makes the WeChat around a fleet, and returns once every process knows who
// is there.
func (f *fleet) settle(o rigOptions) {
	f.t.Helper()
	f.t.Cleanup(func() { f.discreet(f.urls) }) // while they live; of their logs that is asked later
	f.url = f.urls[0]
	f.populate(o)
	f.take()
	for _, url := range f.urls {
		f.ready(url)
	}
}

// add starts one more process.
func (f *fleet) add() *process {
	f.t.Helper()
	p := launch(f.t, f.env, "serve", "--config", f.path)
	f.processes = append(f.processes, p)
	f.urls = append(f.urls, p.serving())
	return p
}

// take points all accounts at the processes.
func (f *fleet) take() {
	f.t.Helper()
	for name, a := range f.accounts {
		var targets []string
		for _, url := range f.urls {
			targets = append(targets, url+"/wechat/"+name)
		}
		must(f.t, a.SetTargets(targets...))
	}
}

// ready waits until a process knows of everybody at the desks.
func (f *fleet) ready(url string) {
	f.t.Helper()
	eventually(f.t, "the process knows who is there", func() bool {
		code, _ := get(f.t, url+"/readyz", nil)
		return code == 200 && metric(f.t, url, "kefud_presence_online") >= float64(len(f.agents))
	})
}

// stop ends a process as an operator does, which must be a clean end.
func (f *fleet) stop(p *process) {
	f.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(10 * time.Second); code != exitDone {
		f.t.Errorf("the process ended with exit code %d", code)
	}
}
