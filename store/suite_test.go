package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/internal/redistest"
	"kefud/kefu"
	"kefud/store"
)

// A backend is one kind of Redis that the suite runs on.
type backend struct {
	name  string
	addrs []string
	count *atomic.Int64 // of stores opened, each with a prefix of its own
}

// options are those of a Store that shares nothing with those of other tests.
func (b backend) options() store.Options {
	return store.Options{
		Addrs: b.addrs, Prefix: fmt.Sprintf("t%d", b.count.Add(1)),
		Timeout: 10 * time.Second, // a busy machine is not what is tested
		Now:     func() time.Time { return start },
	}
}

// open makes a Store that lasts as long as the test.
func (b backend) open(t testing.TB, change ...func(*store.Options)) *store.Store {
	t.Helper()
	o := b.options()
	for _, f := range change {
		f(&o)
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

func embedded() backend { return backend{name: "embedded", count: &atomic.Int64{}} }

func server(t testing.TB) backend {
	t.Helper()
	return backend{name: "server", addrs: []string{redistest.Start(t).Addr}, count: &atomic.Int64{}}
}

func cluster(t testing.TB) backend {
	t.Helper()
	return backend{name: "cluster", addrs: redistest.Addrs(redistest.Cluster(t)), count: &atomic.Int64{}}
}

// suite is what must hold whatever Redis is.
var suite = []struct {
	name string
	test func(t *testing.T, b backend)
}{
	{"Repeat", testRepeat},
	{"LookupOfNothing", testLookupOfNothing},
	{"Entry", testEntry},
	{"AskAtSameEntry", testAskAtSameEntry},
	{"OwnerLasts", testOwnerLasts},
	{"OwnerPerEntry", testOwnerPerEntry},
	{"OwnerOutlivesOtherEntry", testOwnerOutlivesOtherEntry},
	{"Kept", testKept},
	{"NotKept", testNotKept},
	{"KeptGreeting", testKeptGreeting},
	{"KeptIsOneCommand", testKeptIsOneCommand},
	{"NewAssignmentIsThreeCommands", testNewAssignmentIsThreeCommands},
	{"IdleStartsAnew", testIdleStartsAnew},
	{"EntryChange", testEntryChange},
	{"Entered", testEntered},
	{"SettleDecided", testSettleDecided},
	{"SettleReplaces", testSettleReplaces},
	{"SettleLostRace", testSettleLostRace},
	{"SettleAtLeftEntry", testSettleAtLeftEntry},
	{"SettleForgottenPush", testSettleForgottenPush},
	{"SettleForgottenCustomer", testSettleForgottenCustomer},
	{"SettleNobody", testSettleNobody},
	{"Standing", testStanding},
	{"Following", testFollowing},
	{"History", testHistory},
	{"Records", testRecords},
	{"EveryKeyExpires", testEveryKeyExpires},
	{"OneMark", testOneMark},
	{"SeatOrder", testSeatOrder},
	{"SeatHeld", testSeatHeld},
	{"SeatGivenUp", testSeatGivenUp},
	{"SeatTakenSince", testSeatTakenSince},
	{"SeatExpires", testSeatExpires},
	{"SeatLongLadder", testSeatLongLadder},
	{"SeatWaiting", testSeatWaiting},
	{"SeatStays", testSeatStays},
	{"SeatsOutliveShortOnes", testSeatsOutliveShortOnes},
	{"Release", testRelease},
	{"ReleaseRestores", testReleaseRestores},
	{"GiveUp", testGiveUp},
	{"Loads", testLoads},
	{"RefreshKeeps", testRefreshKeeps},
	{"RefreshRetakes", testRefreshRetakes},
	{"RefreshNeverExceeds", testRefreshNeverExceeds},
	{"RefreshBesideOthers", testRefreshBesideOthers},
	{"RefreshUnknownCapacity", testRefreshUnknownCapacity},
	{"RefreshOfReassigned", testRefreshOfReassigned},
	{"CrashBetweenSeatAndSettle", testCrashBetweenSeatAndSettle},
	{"LaneOrder", testLaneOrder},
	{"LaneFields", testLaneFields},
	{"LaneOnce", testLaneOnce},
	{"LeaseExpires", testLeaseExpires},
	{"LeaseMax", testLeaseMax},
	{"LeaseOnce", testLeaseOnce},
	{"OwedMeanwhile", testOwedMeanwhile},
	{"LeaseOfVanishedLane", testLeaseOfVanishedLane},
	{"FinishLate", testFinishLate},
	{"FinishRetryAndWait", testFinishRetryAndWait},
	{"Allowance", testAllowance},
	{"AllowanceNotAdded", testAllowanceNotAdded},
	{"AllowanceRefund", testAllowanceRefund},
	{"AllowanceEmpty", testAllowanceEmpty},
	{"AllowanceSinceRenewed", testAllowanceSinceRenewed},
	{"Buried", testBuried},
	{"BuriedCap", testBuriedCap},
	{"OwedBuried", testOwedBuried},
	{"OwedWaiting", testOwedWaiting},
	{"OwedPages", testOwedPages},
	{"RetryOrder", testRetryOrder},
	{"RetryWhileLeased", testRetryWhileLeased},
	{"RetryRefused", testRetryRefused},
	{"RetryOnce", testRetryOnce},
	{"Backlog", testBacklog},
	{"Due", testDue},
	{"Wake", testWake},
	{"WrongDelivery", testWrongDelivery},
	{"Lists", testLists},
	{"ListsOfOtherClocks", testListsOfOtherClocks},
	{"Lead", testLead},
	{"Token", testToken},
	{"Media", testMedia},
	{"Partitions", testPartitions},
	{"ChatPost", testChatPost},
	{"ChatLineFields", testChatLineFields},
	{"ChatPutOff", testChatPutOff},
	{"ChatLast", testChatLast},
	{"ChatRefused", testChatRefused},
	{"ChatJoin", testChatJoin},
	{"ChatMoment", testChatMoment},
	{"ChatHold", testChatHold},
	{"ChatClosedWindow", testChatClosedWindow},
	{"ChatHeardDuringMore", testChatHeardDuringMore},
	{"ChatMoreNotSent", testChatMoreNotSent},
	{"ChatRetry", testChatRetry},
	{"ChatEmpty", testChatEmpty},
	{"ChatLapse", testChatLapse},
	{"ChatLapseOfMore", testChatLapseOfMore},
	{"ChatWithdraw", testChatWithdraw},
	{"ChatWithdrawLabel", testChatWithdrawLabel},
	{"ChatWithdrawFlying", testChatWithdrawFlying},
	{"ChatWithdrawAnyway", testChatWithdrawAnyway},
	{"ChatWithdrawRepeat", testChatWithdrawRepeat},
	{"ChatGone", testChatGone},
	{"ChatTurns", testChatTurns},
	{"ChatClocks", testChatClocks},
	{"ChatLease", testChatLease},
	{"ChatVanished", testChatVanished},
	{"ChatCommands", testChatCommands},
	{"Hear", testHear},
	{"HearRepeat", testHearRepeat},
	{"HearTakeover", testHearTakeover},
	{"HearSilent", testHearSilent},
	{"HearTakeoverTarget", testHearTakeoverTarget},
	{"HearTakeoverOfLost", testHearTakeoverOfLost},
	{"HearWrittenBefore", testHearWrittenBefore},
	{"HearWrittenBeforeTheOnlyOne", testHearWrittenBeforeTheOnlyOne},
	{"LeaveKeeps", testLeaveKeeps},
	{"SingleAllowance", testSingleAllowance},
	{"HearSelection", testHearSelection},
	{"HearOver", testHearOver},
	{"HearLost", testHearLost},
	{"HearLostUnselected", testHearLostUnselected},
	{"HearLostInDoubt", testHearLostInDoubt},
	{"HearMisses", testHearMisses},
	{"HearHint", testHearHint},
	{"HearLabels", testHearLabels},
	{"HearLabelsReused", testHearLabelsReused},
	{"HearLabelsUsedUp", testHearLabelsUsedUp},
	{"Say", testSay},
	{"SayRoom", testSayRoom},
	{"SayLeased", testSayLeased},
	{"LeaseOfForgotten", testLeaseOfForgotten},
	{"SayKeeps", testSayKeeps},
	{"End", testEnd},
	{"Overdue", testOverdue},
	{"OverdueMet", testOverdueMet},
	{"OverdueOfNobody", testOverdueOfNobody},
	{"Hurry", testHurry},
	{"UnbindHurries", testUnbindHurries},
	{"Bind", testBind},
	{"BindGuesses", testBindGuesses},
	{"BindOnce", testBindOnce},
	{"Announce", testAnnounce},
	{"Transcript", testTranscript},
	{"TranscriptMoved", testTranscriptMoved},
	{"TranscriptLong", testTranscriptLong},
	{"TranscriptKept", testTranscriptKept},
	{"Forget", testForget},
	{"SealRotation", testSealRotation},
	{"SealBelongs", testSealBelongs},
	{"SealEverywhere", testSealEverywhere},
	{"ChatRace", testChatRace},
	{"SayRace", testSayRace},
	{"ChatModel", testChatModel},
	{"OneServingAgent", testOneServingAgent},
	{"OneFreeSeat", testOneFreeSeat},
	{"Linearizable", testLinearizable},
	{"Rest", testRest},
	{"RestOfOthers", testRestOfOthers},
	{"RestOfBusy", testRestOfBusy},
	{"RestTooLong", testRestTooLong},
	{"RestUnknownField", testRestUnknownField},
	{"RestFull", testRestFull},
	{"RestWakes", testRestWakes},
	{"KeptAsThoroughly", testKeptAsThoroughly},
	{"KeptForHours", testKeptForHours},
	{"KeptToTheSecond", testKeptToTheSecond},
	{"KeptWakesLane", testKeptWakesLane},
	{"RestLeftTimer", testRestLeftTimer},
	{"RestIsOneCommand", testRestIsOneCommand},
	{"RestInFewRoundTrips", testRestInFewRoundTrips},
	{"RestOver", testRestOver},
	{"RestBefore", testRestBefore},
	{"RestPack", testRestPack},
	{"RestPackLimit", testRestPackLimit},
	{"RestLongAfterWriting", testRestLongAfterWriting},
	{"RestForget", testRestForget},
	{"RestTurns", testRestTurns},
	{"RestRace", testRestRace},
	{"Model", testModel},
}

func TestStore(t *testing.T) {
	t.Parallel()
	for _, b := range []backend{embedded(), server(t), cluster(t)} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range suite {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.test(t, b)
				})
			}
		})
	}
}

// What the tests take for granted unless they say otherwise.
const (
	idle   = 30 * time.Minute
	sticky = 48 * time.Hour
)

var (
	start     = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	allowance = kefu.Allowance{AfterMessage: 5, AfterMessageWindow: 48 * time.Hour, AfterEnter: 2, AfterEnterWindow: time.Minute}
	everybody = reach("wang", "li", "zhao")
)

// reach makes agents reachable by a named transfer.
func reach(agents ...kefu.AgentID) kefu.Reach {
	var answers []kefu.Answer
	for _, a := range agents {
		answers = append(answers, named(a))
	}
	return kefu.NewReach(answers)
}

func named(a kefu.AgentID) kefu.Answer {
	return kefu.Answer{Way: kefu.WayNamed, Agent: a, Account: string(a) + "@gh_1"}
}

// A person is a customer at a Store, with a clock of his own.
type person struct {
	testing.TB
	s     *store.Store
	id    kefu.CustomerID
	now   time.Time
	count int
	last  kefu.MessageKey // of the last push
}

func newPerson(t testing.TB, s *store.Store, user string) *person {
	t.Helper()
	return &person{TB: t, s: s, id: kefu.CustomerID{App: "shop", User: user}, now: start}
}

func (p *person) later(d time.Duration) { p.now = p.now.Add(d) }

// receipt makes the next push: a message, unless changed.
func (p *person) receipt(change ...func(*kefu.Receipt)) kefu.Receipt {
	p.count++
	p.last = kefu.MessageKey(fmt.Sprintf("m%d", p.count))
	r := kefu.Receipt{
		Customer: p.id, Key: p.last, At: p.now, Default: "cs1", DefaultSticky: sticky,
		Reach: everybody, Idle: idle, Allowance: allowance,
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func (p *person) receive(r kefu.Receipt) kefu.Received {
	p.Helper()
	got, err := p.s.Receive(p.Context(), r)
	if err != nil {
		p.Fatalf("receive: %v", err)
	}
	return got
}

// push sends the next push.
func (p *person) push(change ...func(*kefu.Receipt)) kefu.Received {
	p.Helper()
	return p.receive(p.receipt(change...))
}

func enter(r *kefu.Receipt) { r.Enter = true }

func ask(e kefu.EntryTag, sticky time.Duration) func(*kefu.Receipt) {
	return func(r *kefu.Receipt) { r.Enter, r.Ask, r.AskSticky = true, kefu.Ask{Entry: e}, sticky }
}

func askAgent(e kefu.EntryTag, a kefu.AgentID) func(*kefu.Receipt) {
	return func(r *kefu.Receipt) { r.Enter, r.Ask, r.AskSticky = true, kefu.Ask{Entry: e, Agent: a}, sticky }
}

func askGroup(e kefu.EntryTag, g string) func(*kefu.Receipt) {
	return func(r *kefu.Receipt) { r.Enter, r.Ask, r.AskSticky = true, kefu.Ask{Entry: e, Group: g}, sticky }
}

func within(r kefu.Reach) func(*kefu.Receipt) { return func(x *kefu.Receipt) { x.Reach = r } }

// settlement gives the conversation of the last push to an agent, who becomes
// its owner.
func (p *person) settlement(c kefu.Conversation, a kefu.AgentID, change ...func(*kefu.Settlement)) kefu.Settlement {
	st := kefu.Settlement{
		Customer: p.id, Key: p.last, At: p.now, Version: c.Version, Idle: idle,
		Entry: c.Entry, Sticky: sticky, Agent: a, Owner: a, Answer: named(a),
	}
	if a == "" {
		st.Answer = kefu.Answer{Way: kefu.WayPlain}
	}
	for _, f := range change {
		f(&st)
	}
	return st
}

func (p *person) settleWith(st kefu.Settlement) kefu.Settled {
	p.Helper()
	got, err := p.s.Settle(p.Context(), st)
	if err != nil {
		p.Fatalf("settle: %v", err)
	}
	return got
}

// settle applies a settlement of the last push.
func (p *person) settle(c kefu.Conversation, a kefu.AgentID, change ...func(*kefu.Settlement)) {
	p.Helper()
	if got := p.settleWith(p.settlement(c, a, change...)); !got.Applied {
		p.Fatalf("settle: %+v, want it applied", got)
	}
}

func owner(a kefu.AgentID, borrowed int) func(*kefu.Settlement) {
	return func(st *kefu.Settlement) { st.Owner, st.Borrowed = a, borrowed }
}

func owing(d ...kefu.Delivery) func(*kefu.Settlement) {
	return func(st *kefu.Settlement) { st.Deliveries = d }
}

// seat asks for a seat with the given capacity at each of the agents.
func (p *person) seat(capacity int, holds kefu.AgentID, agents ...kefu.AgentID) kefu.Seat {
	p.Helper()
	r := kefu.SeatRequest{Customer: p.id, Entry: "cs1", At: p.now, Idle: idle, Holds: holds}
	for _, a := range agents {
		r.Candidates = append(r.Candidates, kefu.SeatCandidate{Agent: a, Capacity: capacity})
	}
	got, err := p.s.Seat(p.Context(), r)
	if err != nil {
		p.Fatalf("seat: %v", err)
	}
	return got
}

func (p *person) release(seat kefu.Seat) {
	p.Helper()
	if err := p.s.Release(p.Context(), p.id, seat); err != nil {
		p.Fatalf("release: %v", err)
	}
}

// served brings the person into a conversation with an agent who has the given
// capacity.
func (p *person) served(a kefu.AgentID, capacity int) {
	p.Helper()
	got := p.push()
	if seat := p.seat(capacity, got.Holds, a); seat.Agent != a {
		p.Fatalf("seat %+v, want one at %s", seat, a)
	}
	p.settle(got.Conversation, a)
}

func (p *person) history() kefu.History {
	p.Helper()
	h, err := p.s.History(p.Context(), p.id)
	if err != nil {
		p.Fatalf("history: %v", err)
	}
	return h
}

// seats counts an agent's conversations at the person's time.
func (p *person) seats(a kefu.AgentID) int {
	p.Helper()
	loads, err := p.s.Loads(p.Context(), p.now, []kefu.AgentID{a})
	if err != nil {
		p.Fatalf("loads: %v", err)
	}
	return loads[0].Seats
}

// same fails the test if two values differ.
func same(t reporter, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// A reporter is a testing.TB or a rapid.T.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}
