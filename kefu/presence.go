package kefu

import "time"

// A Presence says whether an agent is there. Only PresenceOnline lets a
// conversation be given to him.
type Presence uint8

// What can be known of an agent. Unknown is what every old answer becomes.
const (
	PresenceUnknown Presence = iota
	PresenceOffline
	PresenceAway
	PresenceOnline
)

var presenceNames = [...]string{"unknown", "offline", "away", "online"}

// String gives the presence as metrics and logs name it.
func (p Presence) String() string {
	if int(p) < len(presenceNames) {
		return presenceNames[p]
	}
	return presenceNames[PresenceUnknown]
}

// A Standing is what is known of one agent at one instant.
type Standing struct {
	Presence Presence
	Relayed  bool   // he is reached in his own WeChat chat
	Paused   bool   // takes no new conversation, whatever his presence; what he has stays his
	Leaving  bool   // the same, because he has said that he is going offline
	Account  string // the desk account a transfer can name, from config or from WeChat's list; "" if neither says
}

// A Listed is one agent of WeChat's online list, with whichever ids the
// account's list carries.
//
// WeChat, "getonlinekflist",
// https://developers.weixin.qq.com/doc/service/api/customer/servicermanage/api_getonlinekflist,
// read 2026-11: for mini-programs kf_account is "" in the sample, kf_openid the identifier.
type Listed struct {
	Account string `json:"a,omitempty"`
	User    string `json:"u,omitempty"`
	ID      string `json:"i,omitempty"`
}

// An OnlineList is WeChat's list of agents who are online at one app's desk,
// and when it was fetched.
type OnlineList struct {
	At     time.Time
	Agents []Listed
}

// A Load is how many conversations an agent has, and when he last got a new one
// (zero: not within memory).
type Load struct {
	Agent   AgentID
	Seats   int
	LastNew time.Time
}

// A Roster is who is there, as known at one instant. It is immutable: newer
// knowledge, and knowledge that has aged, come as another Roster.
type Roster struct {
	Version uint64 // differs between any two rosters of one process
	layers  []map[AppID]map[AgentID]Standing
}

// NewRoster keeps the given standings, by app and agent. Of an agent who stands in
// several layers at an app, the first counts.
func NewRoster(version uint64, layers ...map[AppID]map[AgentID]Standing) *Roster {
	return &Roster{Version: version, layers: layers}
}

// Standing tells what is known of an agent for customers of an app; the zero
// Standing (unknown) for whoever is not in the roster. A nil Roster knows nobody.
func (r *Roster) Standing(app AppID, agent AgentID) Standing {
	if r == nil {
		return Standing{}
	}
	for _, layer := range r.layers {
		if s, ok := layer[app][agent]; ok {
			return s
		}
	}
	return Standing{}
}

// Online counts the agents who are there for customers of an app.
func (r *Roster) Online(app AppID) int {
	n := 0
	for _, layer := range r.layers {
		for agent, s := range layer[app] {
			if s.Presence == PresenceOnline && r.Standing(app, agent) == s {
				n++
			}
		}
	}
	return n
}
