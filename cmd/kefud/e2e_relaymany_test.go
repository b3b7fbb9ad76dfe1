package main

import (
	"slices"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// Two agents with five customers each, all writing at once: everything comes to
// whom it is for, in order, once. With room for all messages, agents write as
// fast as they can; with what WeChat allows, they answer what they have read.
func TestRelayKeepsTenConversationsApart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		allowed string
		waits   bool
	}{
		{"room for all", "100000", false},
		{"what WeChat allows", "5", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, rigOptions{config: playConfig, redis: redistest.Start(t), env: map[string]string{"ALLOWED": tt.allowed, "BUDGET": "4s", "API_TIMEOUT": "10s"}})
			chats := r.bound("wang", "li")
			const each = 5
			people := [][]*patron{r.patrons(each, "one"), r.patrons(each, "two")}
			n := *relayMessages
			var clerks []*clerk
			var runs []func()
			for i, c := range chats {
				k := newClerk(c, uint64(i), people[i])
				clerks = append(clerks, k)
				runs = append(runs, func() { k.serve(n, tt.waits) })
				for _, p := range people[i] {
					runs = append(runs, func() { p.relayed(n) })
				}
			}
			together(runs...)
			for i, k := range clerks {
				for _, p := range people[i] {
					r.await(p.name+" has all answers, or they wait for him", func() bool { return p.complete() || p.full() })
					for !p.complete() { // his agent was behind him at the end, and WeChat takes no more
						p.relayed(1)
						r.await("more comes", func() bool { return p.complete() || p.full() })
					}
					p.exact()
				}
				k.says("列表") // if more waits
				r.await(k.id+" has all messages", func() bool { return len(r.owed(people[i])) == 0 })
				k.exact()
			}
			r.well()
		})
	}
}

// A message that cannot be brought to the agent goes to WeChat's desk, where an
// agent takes the customer: his next messages pass by the server. The agent whose
// chat it was can say nothing more. When the desk's session ends, the customer
// comes back to him.
func TestRelayGivesWayToTheDeskAndGetsTheCustomerBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		broken simulator.APIBreak
		has    bool // the agent has what the desk has, too
	}{
		{"refused, to be tried again", simulator.APIBreak{ErrCode: -1}, false},
		{"reset", simulator.APIBreak{Reset: true}, false},
		{"reset too late", simulator.APIBreak{Reset: true, Late: true}, true},
		{"a page", simulator.APIBreak{Status: 502}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onStores(t, func(t *testing.T, redis *redistest.Server) {
				r := start(t, rigOptions{config: playConfig, redis: redis, env: map[string]string{"BUDGET": "4s", "API_TIMEOUT": "10s"}})
				wang := r.bound("wang")[0]
				desk, err := r.accounts["shop"].AddAgent(simulator.AgentOptions{KfAccount: "desk@gh_shop", Online: true})
				must(t, err)
				p := r.patrons(1, "one")[0]
				k := newClerk(wang, 1, []*patron{p})
				p.relayed(1)
				if fate, told := k.say(p); fate != wordAccepted {
					t.Errorf("his words are refused: %q", told)
				}
				r.await("he hears them", p.complete)

				broken := tt.broken
				broken.Path, broken.Account, broken.Calls = "/cgi-bin/message/custom/send", r.accounts["board"], 1
				r.box.BreakAPI(broken)
				if result := p.write(); result.Reach.Fate != simulator.FateAgent || result.Reach.Agent != desk.Nick() {
					t.Errorf("the message is %s, at %q, want it at the desk", result.Reach.Fate, result.Reach.Agent)
				}
				if result := p.write(); len(result.Attempts) != 0 {
					t.Error("a message of one whom the desk serves came to the server")
				}
				for range 2 {
					if fate, told := k.say(p); fate != wordRefused {
						t.Errorf("his words to the desk's customer are not refused: %q", told)
					}
				}
				desk.Close(p.user)
				p.relayed(2)
				k.look()
				if fate, told := k.say(p); fate != wordAccepted {
					t.Errorf("his words to who came back are refused: %q", told)
				}
				r.await("he hears them", p.complete)
				want := []string{p.name + "-0001", p.name + "-0004", p.name + "-0005"}
				if tt.has {
					want = slices.Insert(want, 1, p.name+"-0002")
				}
				r.await("all comes", func() bool { return len(tokens(wang)[p.name]) >= len(want) })
				if got := tokens(wang)[p.name]; !slices.Equal(got, want) {
					t.Errorf("he has %q, want %q", got, want)
				}
				if got := p.heard(); len(got) != 2 {
					t.Errorf("the customer heard %q", got)
				}
				r.well()
			})
		})
	}
}

// One agent, five customers, three processes that take turns to get their
// pushes: labels, selection and order are the same at all of them.
func TestRelayIsOneOverThreeProcesses(t *testing.T) {
	t.Parallel()
	f := launchFleet(t, 3, rigOptions{config: playConfig, redis: redistest.Start(t), env: map[string]string{"ALLOWED": "100000", "BUDGET": "4s", "API_TIMEOUT": "10s"}})
	wang := f.boundAll("wang", "li")[0]
	people := f.patrons(5, "one")
	k := newClerk(wang, 1, people)
	n := *relayMessages * 2 / 3
	runs := []func(){func() { k.serve(n, false) }}
	for _, p := range people {
		runs = append(runs, func() { p.relayed(n) })
	}
	together(runs...)
	for _, p := range people {
		f.await(p.name+" has all answers", p.complete)
		p.exact()
	}
	k.exact()
	for _, url := range f.urls {
		if metric(t, url, "kefud_relay_heard_total") == 0 || metric(t, url, "kefud_relay_forwarded_total") == 0 {
			t.Errorf("%s had no part in it", url)
		}
	}

	// What an agent says of himself, all know soon.
	wang.says("忙碌") // he keeps whom he has
	f.soonAllBringTo("li")
	wang.says("上线")
	f.soonAllBringTo("wang")
	f.send(wang.user.Unfollow())
	f.present(1, presenceSoon)
	f.soonAllBringTo("li")
	f.well()
}

// presenceSoon is how soon all processes know what an agent says of himself, on
// a machine that has other things to do.
const presenceSoon = 2*time.Second + slackTime

// soonAllBringTo wants new customers to be brought to an agent soon, by whichever
// process.
func (f *fleet) soonAllBringTo(agent string) {
	f.t.Helper()
	began := time.Now()
	var asked time.Time
	eventually(f.t, "new customers come to "+agent, func() bool {
		hits := 0
		asked = time.Now()
		for _, p := range f.patrons(len(f.urls), "both") {
			if result := p.write(); result.Reach.Agent == agent {
				hits++
			}
		}
		return hits == len(f.urls)
	})
	if took := asked.Sub(began); took > presenceSoon {
		f.t.Errorf("new customers come to %s after %s", agent, took)
	}
}

// What an agent has not had yet stays his when the customer goes to another's
// button: nobody else was brought it.
func TestRelayKeepsWhatWasNotReadWhenTheCustomerTapsElsewhere(t *testing.T) {
	t.Parallel()
	r := start(t, rigOptions{config: playConfig, redis: redistest.Start(t), env: map[string]string{"BUDGET": "4s", "API_TIMEOUT": "10s"}})
	chats := r.bound("wang", "li")
	p := r.patrons(1, "one")[0]
	p.relayed(7) // the last three are held
	r.tap(p.user, "two")
	p.relayed(1)
	r.await("the other agent has the next", func() bool { return len(tokens(chats[1])[p.name]) > 0 })
	chats[0].says("列表")
	r.await("the first has the rest", func() bool { return len(tokens(chats[0])[p.name]) == 7 })
	r.well()
}
