// Command kefud brings the customers of a WeChat mini-program's contact buttons
// to the agents those buttons mean.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kefud/config"
	"kefud/internal/sink"
)

// Set by the linker when a release is built.
var (
	version = "dev"
	commit  = "unknown"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { mainBy(time.Now) }

// mainBy is main by a clock.
func mainBy(now func() time.Time) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := &program{stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv, now: now}
	code := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is the whole program, but for the process around it.
func (p *program) run(ctx context.Context, args []string) int {
	// Errors and every goroutine's log lines go the same way.
	log := sink.New(p.stderr)
	defer log.Close()
	p.stderr, p.log = log, log
	root := p.command()                       //nolint:contextcheck // cobra hands each command its context when it runs
	root.SetArgs(append([]string{}, args...)) // nil would mean the arguments of the process
	root.SetOut(p.stdout)
	root.SetErr(log)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintf(log, "kefud: %v\n", err)
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) {
		return exitUsage
	}
	if wrong := (*usageError)(nil); errors.As(err, &wrong) || !p.started {
		_, _ = fmt.Fprintln(log, "kefud: see kefud --help")
		return exitUsage
	}
	return exitFailed
}

// A usageError is about what was typed. The library's own are told by when they
// come: before the command has started.
type usageError struct{ error }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// program is what the commands share.
type program struct {
	stdout, stderr io.Writer
	log            *sink.Sink // stderr, while the program runs
	env            func(string) (string, bool)
	now            func() time.Time
	started        bool // the command line was understood; errors from now on are not about usage
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "kefud",
		Short: "Bring each customer of a WeChat mini-program to the agent his contact button means",
		Long: `kefud receives the message pushes of WeChat mini-programs and official accounts,
sees which contact button a customer came through, and brings him to the agent
that button means. Where that cannot be done, WeChat's own desk gets him.

Try it without a WeChat account:  kefud demo
Check that it would work:         kefud doctor --config config.yaml
Run it:                           kefud serve --config config.yaml
Let an agent bind his own chat:   kefud agents invite AGENT

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			// Cobra looks for missing flags only after this; they are wrong usage too.
			if err := c.ValidateRequiredFlags(); err != nil {
				return err
			}
			p.started = true
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		p.serveCommand(), p.demoCommand(), p.simulateCommand(),
		p.doctorCommand(), p.explainCommand(), p.agentsCommand(), p.outboxCommand(), p.exportCommand(), p.forgetCommand(),
		p.versionCommand(), p.healthcheckCommand(),
	)
	return root
}
