package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kefud/config"
	"kefud/internal/simulator"
)

type simulateFlags struct {
	target, config, api string
	modes, formats      map[string]string
	mix                 map[string]string // app → share
	plot                string
	presenceWait        time.Duration
	load                simulator.LoadOptions
}

func (p *program) simulateCommand() *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate --target URL",
		Short: "Play WeChat against a running server, and account for every customer",
		Long: `Play WeChat against a running server: customers tap buttons and write, pushes are
signed (and encrypted) as each app's configuration asks, an answer is awaited for
5 s and the push then sent again, transfers land at a simulated desk. At the end
stand counts, latencies, and how many customers were left without a human. What an
agent's own chat has counts as reached; no customer enters at a switchboard.

The apps, their tokens and keys, and the agents come from the configuration that
the server runs with; openids and texts are made up.

With --rate the load is an open loop: pushes are due at that rate whatever the
server does, and latency counts from when they were due. Raise --concurrency until
none is "behind". Without it there are as many at once as --concurrency says.

For the server to see who is
at the simulated desk and to send notices, it must use the simulated API: start it
with KEFUD_WECHAT_API set to http:// and the address given with --api, and give
each app an app_secret. Without that every customer goes to whoever is free there.

It exits with 0 only if every customer is accounted for, none is left without a
human, and the server broke no rule of WeChat's.`,
		Example: "  KEFUD_WECHAT_API=http://127.0.0.1:9090 SHOP_APP_SECRET=any kefud serve &\n" +
			"  SHOP_APP_SECRET=any kefud simulate --target http://127.0.0.1:8080 --api 127.0.0.1:9090 --customers 2000\n" +
			"  kefud simulate --target https://kefu.example.com --rate 200 --ramp 30s --for 5m --concurrency 256 --plot latency.svg",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.simulate(c.Context(), f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.target, "target", "", "the server, such as http://127.0.0.1:8080; with a path /wechat/APP only that app")
	flags.StringVar(&f.config, "config", "config.yaml", "the configuration file that the server runs with")
	flags.StringVar(&f.api, "api", "", "serve the simulated API at this address, such as 127.0.0.1:9090; empty = do not")
	flags.StringToStringVar(&f.modes, "mode", nil, "push an app in another mode than configured: APP=plain|compatible|safe")
	flags.StringToStringVar(&f.formats, "format", nil, "push an app as: APP=xml|json (default: xml in plain mode, else json; official accounts xml)")
	flags.DurationVar(&f.presenceWait, "wait", 0, "wait so long before the first customer, for the server to learn who is at the desk")
	flags.StringToStringVar(&f.mix, "mix", nil, "how many customers an app gets, in relation to others: APP=SHARE (default: 1 each)")
	flags.DurationVar(&f.load.For, "for", 0, "customers come for so long, however many; 0 = as --customers says")
	flags.DurationVar(&f.load.Ramp, "ramp", 0, "the rate is reached evenly within this")
	flags.StringVar(&f.plot, "plot", "", "write the curve of latencies as an SVG picture to this file")
	flags.IntVar(&f.load.Customers, "customers", 100, "how many customers, spread over the apps")
	flags.IntVar(&f.load.Messages, "messages", 3, "messages each of them writes")
	flags.IntVar(&f.load.Concurrency, "concurrency", 16, "customers at once")
	flags.Float64Var(&f.load.Rate, "rate", 0, "pushes a second, all in all (open loop); 0 = as fast as the concurrency allows")
	flags.Float64Var(&f.load.Repush, "repush", 0.05, "share of pushes that come again although they were answered")
	flags.Float64Var(&f.load.Twice, "twice", 0.02, "share of pushes that come twice at the same time")
	flags.BoolVar(&f.load.Close, "close", true, "the desk's agent closes after each message, so that the next comes to the server again")
	flags.Uint64Var(&f.load.Seed, "seed", 1, "the same customers do the same under the same seed")
	if err := c.MarkFlagRequired("target"); err != nil {
		panic(err) // a flag of that name was defined above
	}
	return c
}

func (p *program) simulate(ctx context.Context, f simulateFlags) error {
	c, err := config.Load(f.config, p.env)
	if err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	if f.load.Mix, err = shares(f.mix); err != nil {
		return err
	}
	server, err := pick(c, f.target)
	if err != nil {
		return err
	}
	box := simulator.New(simulator.Options{Seed: f.load.Seed})
	defer box.Close()
	accounts, err := settle(box, c, server, f)
	if err != nil {
		return fmt.Errorf("set up the simulated WeChat: %w", err)
	}
	if f.api != "" {
		at, err := box.Start(ctx, f.api)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(p.stdout, "WeChat's API is at %s\n", at) // the report matters, this does not
	}
	for _, a := range accounts {
		if err := a.Verify(ctx); err != nil {
			return fmt.Errorf("verify %s: %w", a.Name(), err)
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(f.presenceWait):
	}
	f.load.Accounts, f.load.Tags = accounts, tags(c)
	report, err := box.Load(ctx, f.load)
	if told := p.tell(report, box.Faults(), f); told != nil {
		return told
	}
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	if !report.Well() || report.Unaccounted > 0 {
		return errors.New("not every customer is accounted for and well; see above")
	}
	return nil
}

// tell prints what came of a load, and draws it if that was asked for.
func (p *program) tell(r simulator.LoadReport, faults []simulator.Fault, f simulateFlags) error {
	if err := r.Print(p.stdout, faults); err != nil {
		return err
	}
	if f.plot == "" {
		return nil
	}
	title := fmt.Sprintf("%s: %d answers", f.target, r.Latency.Count())
	if f.load.Rate > 0 {
		title += fmt.Sprintf(" at %g pushes a second", f.load.Rate)
	}
	var picture bytes.Buffer
	if err := r.Latency.Plot(&picture, title); err != nil {
		return err
	}
	return os.WriteFile(f.plot, picture.Bytes(), 0o644) //nolint:gosec // a picture of figures, which others may read
}

// check refuses numbers that nobody can mean.
func (f simulateFlags) check() error {
	for name, n := range map[string]int{"customers": f.load.Customers, "messages": f.load.Messages, "concurrency": f.load.Concurrency} {
		if n < 1 {
			return usage("--%s is %d; give 1 or more", name, n)
		}
	}
	for name, share := range map[string]float64{"repush": f.load.Repush, "twice": f.load.Twice} {
		if share < 0 || share > 1 {
			return usage("--%s is %g; it is a share, from 0 to 1", name, share)
		}
	}
	if f.load.Rate < 0 {
		return usage("--rate is %g; give 0 for as fast as it goes, or more", f.load.Rate)
	}
	if f.load.For < 0 || f.load.Ramp < 0 {
		return usage("--for is %s and --ramp is %s; neither can be less than 0", f.load.For, f.load.Ramp)
	}
	if f.load.Ramp > 0 && f.load.Rate == 0 {
		return usage("--ramp needs a --rate to be reached")
	}
	return nil
}

// shares reads what --mix gives.
func shares(mix map[string]string) (map[string]float64, error) {
	shares := make(map[string]float64, len(mix))
	for app, text := range mix {
		share, err := strconv.ParseFloat(text, 64)
		if err != nil || share < 0 || math.IsInf(share, 0) || math.IsNaN(share) {
			return nil, usage("--mix %s=%s: give a number, 0 or more", app, text)
		}
		shares[app] = share
	}
	return shares, nil
}

// pick reads the target: the server's address, and of a callback URL its app,
// which is then the only one of the config that is played.
func pick(c *config.Config, target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usage("--target %q is no address of a server; give one such as http://127.0.0.1:8080", target)
	}
	base, name, single := strings.Cut(u.Path, "/wechat/")
	if single {
		c.Apps = slices.DeleteFunc(c.Apps, func(a config.App) bool { return string(a.Name) != name })
	}
	if len(c.Apps) == 0 {
		return "", usage("--target %s: the configuration has no app %q", target, name)
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(base, "/"), nil
}

// settle makes the config's accounts and seats its agents at their desks.
func settle(box *simulator.Box, c *config.Config, server string, f simulateFlags) ([]*simulator.Account, error) {
	byName := make(map[string]*simulator.Account)
	var accounts []*simulator.Account
	for i := range c.Apps {
		o := account(&c.Apps[i], server)
		o.Mode = simulator.Mode(orElse(f.modes, o.Name, string(o.Mode)))
		o.Format = simulator.Format(orElse(f.formats, o.Name, string(o.Format)))
		a, err := box.AddAccount(o)
		if err != nil {
			return nil, usage("%w", err) // the configuration was checked, so it is about --mode or --format
		}
		byName[o.Name], accounts = a, append(accounts, a)
	}
	for _, given := range []map[string]string{f.modes, f.formats, f.mix} {
		for name := range given {
			if byName[name] == nil {
				return nil, usage("no app %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(byName)), ", "))
			}
		}
	}
	for i := range c.Agents {
		desk := byName[string(c.Agents[i].Desk.App)]
		if desk == nil {
			continue
		}
		o := deskAgent(&c.Agents[i])
		o.Online = true
		if _, err := desk.AddAgent(o); err != nil {
			return nil, err
		}
	}
	return accounts, nil
}

func orElse(m map[string]string, key, other string) string {
	if v, ok := m[key]; ok {
		return v
	}
	return other
}

// tags are the buttons that customers may tap: those of every app, since a tag
// another app has is one that a client may send too, and none.
func tags(c *config.Config) []string {
	all := []string{"", "wxapp"}
	for i := range c.Apps {
		for _, e := range c.Apps[i].Entries {
			all = append(all, strings.TrimSuffix(string(e.Tag), "*"))
		}
	}
	return all
}
