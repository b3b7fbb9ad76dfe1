package simulator

import (
	"slices"
	"time"
)

// Forget drops what is over and was begun before a moment: pushes that have been
// answered, and what customers have received. It keeps runs that last for long
// from filling the memory; nothing of it is accounted for any more.
func (b *Box) Forget(before time.Time) {
	b.mu.Lock()
	defer b.unlock()
	b.index = index{}
	for _, a := range b.accounts {
		for _, c := range a.customers {
			// Cloned, since deleting leaves the room of what it deletes.
			c.pushes = slices.DeleteFunc(slices.Clone(c.pushes), func(p *Push) bool { return p.settled && p.made.Before(before) })
			c.inbox = slices.DeleteFunc(slices.Clone(c.inbox), func(r Received) bool { return r.At.Before(before) })
			for _, p := range c.pushes {
				if p.tries > 0 {
					b.index.add(p)
				}
			}
		}
	}
}
