package main

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"kefud/internal/redistest"
)

// relayFleet starts processes on one Redis, and binds agents' chats, which every
// process comes to know.
func relayFleet(t *testing.T, size int, agents ...string) (*fleet, []*chat) {
	t.Helper()
	f := launchFleet(t, size, relayOptions(redistest.Start(t), nil))
	var chats []*chat
	for _, agent := range agents {
		c := f.chatOf(agent)
		c.asks(f.invite(agent), "绑定成功")
		chats = append(chats, c)
	}
	f.knowsBound(len(agents))
	return f, chats
}

// knowsBound waits until every process knows that so many agents are there.
func (f *fleet) knowsBound(agents int) {
	f.t.Helper()
	for _, url := range f.urls {
		eventually(f.t, "the process knows whose chats are bound", func() bool {
			return metric(f.t, url, "kefud_presence_online", `app="shop"`) == float64(agents)
		})
	}
}

// Whichever process a push comes to: every word arrives once, in order.
func TestRelayIsOneOnHoweverManyProcesses(t *testing.T) {
	t.Parallel()
	f, chats := relayFleet(t, 2, "wang", "li")
	wang := chats[0]
	c := f.arrives("cs1", "开始")
	var asked, answered []string
	for i := range 8 {
		question, reply := fmt.Sprintf("问题%d", i), fmt.Sprintf("回答%d", i)
		f.writes(c, question)
		wang.answers(reply)
		asked, answered = append(asked, question), append(answered, reply)
	}
	f.hears(c, answered[len(answered)-1])
	wang.reads(line(1, "售前", asked[len(asked)-1]))
	if got := wang.said()[1:]; !slices.Equal(got, asked) {
		t.Errorf("Wang reads %q", got)
	}
	if got := notices(c)[1:]; !slices.Equal(got, answered) {
		t.Errorf("the customer reads %q", got)
	}
	f.unrefused()
	f.well()
}

// A process that is stopped, and one that is killed, lose nothing of what was
// relayed.
func TestRelayOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	f, chats := relayFleet(t, 1, "wang")
	wang := chats[0]
	c := f.arrives("cs1", "第一句")
	for i := range 7 { // more than he can be sent
		f.writes(c, fmt.Sprintf("还有%d", i))
	}
	wang.reads(moreText)
	must(t, f.processes[0].cmd.Process.Kill())
	f.processes[0].exit(patience)
	f.urls = nil
	f.add()
	f.take()
	f.url = f.urls[0]
	f.knowsBound(1)
	wang.answers("第一个答复")
	f.hears(c, "第一个答复")
	wang.reads(line(1, "售前", "还有6"))
	said := wang.said()
	slices.Sort(said)
	if got := slices.Compact(slices.Clone(said)); len(got) != 8 {
		t.Errorf("Wang reads %q", got)
	}
	f.writes(c, "第二句")
	wang.reads(line(1, "售前", "第二句"))
	f.well()
}

// Pushes of one customer that two processes get at the same time end at one agent.
func TestRelayGivesACustomerToOneAgentOnTwoProcesses(t *testing.T) {
	t.Parallel()
	f, chats := relayFleet(t, 2, "wang", "li")
	for round := range 5 {
		c := f.somebody("shop")
		texts := make([]string, 4)
		var writers sync.WaitGroup
		for i := range texts {
			texts[i] = fmt.Sprintf("第%d轮第%d句", round, i)
			writers.Go(func() { f.writes(c, texts[i]) })
		}
		writers.Wait()
		for _, chat := range chats {
			chat.says("帮助") // so that nothing is held
		}
		f.await("all of it comes", func() bool {
			return len(with(chats[0].said(), texts))+len(with(chats[1].said(), texts)) >= len(texts)
		})
		one, two := with(chats[0].said(), texts), with(chats[1].said(), texts)
		if len(one) != len(texts) || len(two) != 0 {
			t.Errorf("Wang has %q, Li %q", one, two)
		}
	}
	f.well()
}

// with gives those of the texts that are wanted.
func with(texts, wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return !slices.Contains(wanted, s) })
}
