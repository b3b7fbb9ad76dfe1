package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// Whatever goes wrong between customers and agents, nobody reads what they say,
// who they are, codes or secrets in what the server tells of itself.
func TestRelayTellsNoSecrets(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	allowKefud(redis)
	o := relayOptions(redis, map[string]string{"TIMEOUT": "1s", "BUDGET": "1s"})
	maps.Copy(o.env, kefudUser)
	r := start(t, o)
	code := r.invite("zhao")
	chats := append(r.bound("wang", "li"), r.chatOf("stranger"))
	chats[2].says("ABCDEF")
	chats[2].says("Ein-fremdes-Wort")
	const word, reply = "Ein-geheimes-Wort", "Eine-geheime-Antwort"
	var people []*simulator.Customer
	play := func() {
		c := r.somebody("shop")
		people = append(people, c)
		r.send(c.Text(word))
		_, push := r.image(c)
		r.send(push)
		r.send(c.Card(word, "/pages/"+word))
		for _, chat := range chats[:2] {
			chat.push(chat.user.Text("上线"))
			for _, o := range r.opensOf(chat) {
				if o.Customer == id(c) {
					label := "#" + itoa(o.Label) + " "
					chat.push(chat.user.Text(label + reply))
					chat.push(chat.user.Text(label + "历史"))
					chat.push(chat.user.Text(label + "转给 " + word))
					_, push := r.image(chat.user)
					chat.push(push)
				}
			}
		}
	}
	play()
	for _, broken := range []simulator.APIBreak{
		{Path: sendPath, Status: 500, Calls: 2},
		{Path: sendPath, ErrCode: 48001},
		{Path: sendPath, ErrCode: 45015},
		{Path: sendPath, Truncate: true, Calls: 2},
		{Path: downloadPath, ErrCode: 40007},
		{Path: uploadPath, Reset: true, Calls: 2},
		{Path: sendPath, Latency: time.Second, Calls: 2},
	} {
		heal := r.box.BreakAPI(broken)
		play()
		heal()
	}
	tokens := []string{r.accessToken("shop"), r.accessToken("board")}
	redis.MustDo("ACL", "SETUSER", "kefud", "resetpass", ">another")
	redis.MustDo("CLIENT", "KILL", "USER", "kefud")
	c := r.somebody("shop")
	people = append(people, c)
	r.send(c.Text(word))
	chats[0].push(chats[0].user.Text(reply))
	redis.MustDo("ACL", "SETUSER", "kefud", ">redis-password")
	eventually(t, "the store answers again", func() bool { return r.server.store.Health().OK })

	secrets := map[string]string{
		"text": word, "answer": reply, "stranger's text": "Ein-fremdes-Wort", "code": code, "wrong code": "ABCDEF",
		"token": "token-of-board", "app secret": "secret-of-board", "customers' app secret": "secret-of-shop",
		"AES key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "transcript key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
		"Redis password": "redis-password", "admin token": adminToken, "access token": tokens[0], "board's access token": tokens[1],
	}
	for i, c := range people {
		secrets[fmt.Sprintf("openid %d", i)] = c.OpenID()
	}
	for _, chat := range chats {
		secrets["openid of "+chat.id] = chat.user.OpenID()
	}
	_, ready := get(t, r.url+"/readyz", nil)
	_, metrics := get(t, r.url+"/metrics", nil)
	_, list := r.command(o, "agents", "list")
	_, explained := r.command(o, "explain", "--app", "shop", "--openid", people[0].OpenID())
	for place, told := range map[string]string{
		"log": r.log.String(), "/readyz": ready, "/metrics": metrics, "agents list": list, "explain": explained,
	} {
		for what, secret := range secrets {
			if i := strings.Index(told, secret); i >= 0 {
				t.Errorf("%s has the %s: %.300q", place, what, told[max(0, i-200):])
			}
		}
	}
}

// opensOf lists the conversations that the server has in an agent's chat.
func (r *rig) opensOf(c *chat) []kefu.Open {
	r.t.Helper()
	var opens []kefu.Open
	eventually(r.t, "the store tells the conversations of "+c.id, func() bool {
		var err error
		opens, err = r.server.store.Opens(r.t.Context(), id(c.user), time.Now(), time.Hour)
		return err == nil
	})
	return opens
}
