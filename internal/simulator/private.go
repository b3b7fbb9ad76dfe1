package simulator

import "strconv"

// Private lists what nobody may read outside of WeChat's chats: openids, what
// people wrote or sent, access tokens. It gives each text with what it is. A server's log
// must hold none of it. Texts of fewer bytes than shortest are left out: they
// may stand anywhere by chance.
func (b *Box) Private(shortest int) map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := make(map[string]string)
	add := func(what, text string) {
		if len(text) >= shortest {
			found[text] = what
		}
	}
	for _, a := range b.accounts {
		for i, c := range a.order {
			who := a.o.Name + "'s customer " + strconv.Itoa(i)
			add("openid of "+who, c.openid)
			for _, p := range c.pushes {
				for _, name := range []string{"Content", "Title", "PagePath", "MediaId", "PicUrl", "ThumbMediaId", "ThumbUrl"} {
					add(name+" of "+who, p.fields.text(name))
				}
			}
		}
	}
	for value, t := range b.tokens {
		add("access token of "+t.account.o.Name, value)
	}
	return found
}
