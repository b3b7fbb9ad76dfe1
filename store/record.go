package store

import (
	"encoding/binary"
	"errors"
	"slices"

	"kefud/kefu"
)

// A record for explain is kept as numbers and texts one after the other, a fifth of
// what its JSON takes: when (ms), kind, entry, agent, owner, borrowed, reason, way,
// position, one more than there are candidates (0 = nil), and of each agent, step,
// group, load, limit, reason. Numbers are of encoding/binary. A text is twice its
// length and itself, or if it is known twice its place and one more; known are these
// and whatever came before it in the record.
//
// Places are for good: a new word is added at the end.
var recordWords = []string{
	"", "enter", "text", "image", "move", "N", "P", "S", "R",
	string(kefu.ReasonKept), string(kefu.ReasonOwner), string(kefu.ReasonAsked), string(kefu.ReasonStep), string(kefu.ReasonStandIn),
	string(kefu.ReasonOwnerChanged), string(kefu.ReasonPool), string(kefu.ReasonNobodyHeld), string(kefu.ReasonMoved),
	string(kefu.ReasonTaken), string(kefu.ReasonFull), string(kefu.ReasonOffline), string(kefu.ReasonUnknown), string(kefu.ReasonPaused),
	string(kefu.ReasonAway), string(kefu.ReasonLeft), string(kefu.ReasonNoWay), string(kefu.ReasonWaits), string(kefu.ReasonNotNeeded),
	string(kefu.ReasonRefused), string(kefu.ReasonMissed),
}

var errRecord = errors.New("record is cut off or of another kind")

// encodeRecord gives a record as it is kept; "" for none.
func encodeRecord(r *kefu.Record) string {
	if r == nil {
		return ""
	}
	e := recordEncoder{known: slices.Clip(recordWords)}
	e.number(int(millis(r.At)))
	e.text(r.Kind)
	e.text(string(r.Entry))
	e.text(string(r.Agent))
	e.text(string(r.Owner))
	e.number(r.Borrowed)
	e.text(string(r.Reason))
	e.text(r.Way)
	e.number(r.Position)
	if r.Candidates == nil {
		e.number(0)
		return string(e.out)
	}
	e.number(len(r.Candidates) + 1)
	for _, c := range r.Candidates {
		e.text(string(c.Agent))
		e.number(c.Step)
		e.text(c.Group)
		e.number(c.Load)
		e.number(c.Limit)
		e.text(string(c.Reason))
	}
	return string(e.out)
}

type recordEncoder struct {
	out   []byte
	known []string
}

func (e *recordEncoder) number(n int) { e.out = binary.AppendUvarint(e.out, uint64(n)) } //nolint:gosec // read as it was written

func (e *recordEncoder) text(s string) {
	if i := slices.Index(e.known, s); i >= 0 {
		e.number(2*i + 1)
		return
	}
	e.number(2 * len(s))
	e.out = append(e.out, s...)
	e.known = append(e.known, s)
}

// decodeRecord reads what encodeRecord wrote.
func decodeRecord(text string) (kefu.Record, error) {
	d := recordDecoder{in: []byte(text), known: slices.Clip(recordWords)}
	r := kefu.Record{
		At: instant(int64(d.number())), Kind: d.text(), Entry: kefu.EntryTag(d.text()), Agent: kefu.AgentID(d.text()), Owner: kefu.AgentID(d.text()),
		Borrowed: d.number(), Reason: kefu.Reason(d.text()), Way: d.text(), Position: d.number(),
	}
	n := d.number() - 1
	if n >= 0 {
		r.Candidates = []kefu.Candidate{}
	}
	for i := 0; i < n && !d.short; i++ {
		r.Candidates = append(r.Candidates, kefu.Candidate{
			Agent: kefu.AgentID(d.text()), Step: d.number(), Group: d.text(), Load: d.number(), Limit: d.number(), Reason: kefu.Reason(d.text()),
		})
	}
	if d.short || len(d.in) > 0 {
		return kefu.Record{}, errRecord
	}
	return r, nil
}

type recordDecoder struct {
	in    []byte
	known []string
	short bool // it was not what it should be; all that follows is nothing
}

func (d *recordDecoder) number() int {
	n, size := binary.Uvarint(d.in)
	if size <= 0 || d.short {
		d.in, d.short = nil, true
		return 0
	}
	d.in = d.in[size:]
	return int(n) //nolint:gosec // as it was written
}

func (d *recordDecoder) text() string {
	n := d.number()
	i := n / 2
	if n%2 == 1 && i < len(d.known) && i >= 0 {
		return d.known[i]
	}
	if n%2 != 0 || i < 0 || i > len(d.in) || d.short {
		d.in, d.short = nil, true
		return ""
	}
	s := string(d.in[:i])
	d.in = d.in[i:]
	d.known = append(d.known, s)
	return s
}
