package main

import (
	"context"
	_ "embed" // for the demo's configuration
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"kefud/config"
	"kefud/internal/simulator"
	"kefud/kefu"
)

//go:embed demo.yaml
var demoConfig []byte

// demoLimit is far more than the story takes; a demo that hangs has failed.
const demoLimit = time.Minute

func (p *program) demoCommand() *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play conversations between a simulated WeChat and this server; nothing to install",
		Long: `Start the server on its embedded store and a simulated WeChat in one process, and
play a story: who taps which button, who gets the customer, and why. It takes
some seconds and exits with 0 only if every customer reached a human.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.demo(c.Context(), keep)
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "leave server and simulator running afterwards, to look at")
	return c
}

// A demo is the company of the story: its server, its WeChat, its people.
type demo struct {
	out       io.Writer
	box       *simulator.Box
	server    *server
	url       string // of the server
	decisions *decisionLog
	accounts  map[string]*simulator.Account
	agents    map[string]*simulator.Agent
	people    []*person
}

func (p *program) demo(ctx context.Context, keep bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d, listener, err := p.newDemo(ctx)
	if err != nil {
		return fmt.Errorf("set up the demo: %w", err)
	}
	defer d.box.Close()
	ran := make(chan error, 1)
	go func() { ran <- d.server.run(ctx, listener) }()
	err = d.tell(ctx)
	if err == nil && keep {
		d.showAround()
		<-ctx.Done()
	}
	cancel()
	return errors.Join(err, <-ran)
}

// tell plays the story within the limit and counts.
func (d *demo) tell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	d.say("kefud demo: a server at %s and a simulated WeChat. Customers tap contact buttons\n"+
		"(session-from); each should reach the agent whom the button means.\n\n"+
		"At WeChat's desk the simulated WeChat heeds the agent named in a transfer. WeChat\n"+
		"documents that for official accounts; for mini-programs it documents no way to\n"+
		"name one. The relay, scene %d, needs none: it works for both.", d.url, len(story))
	for i, s := range story {
		d.say("\n%d. %s", i+1, s.title)
		if err := s.play(ctx, d); err != nil {
			return fmt.Errorf("scene %d (%s): %w", i+1, s.title, err)
		}
	}
	return d.count()
}

func (p *program) newDemo(ctx context.Context) (*demo, net.Listener, error) {
	d := &demo{
		out: p.stdout, box: simulator.New(simulator.Options{}), decisions: &decisionLog{},
		accounts: make(map[string]*simulator.Account), agents: make(map[string]*simulator.Agent),
	}
	api, err := d.box.Start(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	c, err := config.Parse("demo.yaml", demoConfig, func(name string) (string, bool) { return api, name == "KEFUD_DEMO_API" })
	if err != nil {
		return nil, nil, err
	}
	// What the server logs of each callback is what the story tells of it;
	// warnings and worse are shown as they are.
	log := zerolog.New(zerolog.MultiLevelWriter(d.decisions, warnings(p.stderr))).With().Timestamp().Logger()
	if d.server, err = newServer(ctx, c, log); err != nil {
		return nil, nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, nil, err
	}
	d.url = "http://" + l.Addr().String()
	return d, l, errors.Join(addAccounts(d.box, c, d.url, d.accounts), d.hire(c))
}

// hire seats the config's agents at the simulated desks.
func (d *demo) hire(c *config.Config) error {
	for i := range c.Agents {
		a := &c.Agents[i]
		if a.Desk.App == "" {
			continue // she chats
		}
		agent, err := d.accounts[string(a.Desk.App)].AddAgent(deskAgent(a))
		if err != nil {
			return err
		}
		d.agents[string(a.ID)] = agent
	}
	return nil
}

// showAround tells what there is to look at.
func (d *demo) showAround() {
	d.say("\nStill running; Ctrl-C ends it. To look at:\n"+
		"  curl %[1]s/readyz\n"+
		"  curl %[1]s/metrics\n"+
		"  curl -H 'Authorization: Bearer demo-admin' %[1]s/api/v1/apps/shop/customers/%[2]s/decisions", d.url, d.people[0].openid)
}

func (d *demo) say(format string, args ...any) {
	// A terminal that is gone is no reason to fail the story.
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}

// knows waits until the server knows of an agent what is so.
func (d *demo) knows(ctx context.Context, app, agent string, want kefu.Presence) error {
	const look = 20 * time.Millisecond
	for d.server.board.Roster(time.Now()).Standing(kefu.AppID(app), kefu.AgentID(agent)).Presence != want {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server never learned that %s is %s: %w", agent, want, ctx.Err())
		case <-time.After(look):
		}
	}
	return nil
}
