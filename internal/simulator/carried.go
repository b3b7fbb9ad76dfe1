package simulator

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How an agent's chat tells what customers wrote is between the server and its
// agents, no rule of WeChat's: a line "#LABEL ENTRY · TEXT". Several may stand in
// one message, a text may go over several lines or messages, a mark may stand
// before it and a hint behind it.

const (
	splitFrom = 1500 // bytes; a shorter text is not split over several messages
	maxMark   = 64   // bytes of a mark before or behind a text, in its line
	maxHint   = 200  // bytes of the lines behind a part of a text
	minPart   = 16   // bytes of a part of a text, unless it is the last
)

// header is what a line begins with. The mark and the entry may be missing.
var header = regexp.MustCompile(`(?m)^[^\n#]{0,24}#(\d+)(?: [^\n]{1,80}?)? · `)

// An index finds the pushes that a chat's message may carry.
type index struct {
	texts    map[string][]*Push // by what they say
	pictures map[string][]*Push // by their bytes
	cards    []*Push
	long     []string // the texts that may be split
}

// add takes in a push that leaves for the server. Locked.
func (x *index) add(p *Push) {
	if !p.owed() {
		return
	}
	if x.texts == nil {
		x.texts, x.pictures = make(map[string][]*Push), make(map[string][]*Push)
	}
	if p.picture != "" {
		x.pictures[p.picture] = append(x.pictures[p.picture], p)
	}
	switch p.kind {
	case "text":
		p.said = plain(p.fields.text("Content"))
		if len(p.said) > splitFrom && x.texts[p.said] == nil {
			x.long = append(x.long, p.said)
		}
		x.texts[p.said] = append(x.texts[p.said], p)
	case "miniprogrampage":
		p.said = plain(p.fields.text("Title"))
		x.cards = append(x.cards, p)
	}
}

// find finds the pushes of the longest text that stands at one of the places,
// and where it ends: with the message, or with a line.
func (x *index) find(message string, places []int) ([]*Push, int) {
	for end := len(message); end >= 0; end = strings.LastIndexByte(message[:end], '\n') {
		for _, at := range places {
			if at > end {
				break
			}
			said := strings.TrimSpace(message[at:end])
			if same := x.texts[said]; same != nil && (said != "" || at == 0) {
				return same, end
			}
		}
	}
	return nil, 0
}

// card finds the pushes of the cards whose title, the longest, stands in a message.
func (x *index) card(message string) []*Push {
	var same []*Push
	title := ""
	for _, p := range x.cards {
		switch {
		case p.said == "" || len(p.said) < len(title) || !strings.Contains(message, p.said):
		case p.said == title:
			same = append(same, p)
		case len(p.said) > len(title):
			same, title = []*Push{p}, p.said
		}
	}
	return same
}

// plain is a text without what may be lost on its way: XML knows one kind of
// line break, and no control characters.
func plain(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s))
}

// places lists where in a message's first line a text may begin: at once, or
// behind a mark.
func places(message string) []int {
	line, _, _ := strings.Cut(message, "\n")
	line = strings.TrimRightFunc(line, unicode.IsSpace)
	at := []int{0}
	for i, r := range line {
		if i > maxMark {
			break
		}
		if end := i + utf8.RuneLen(r); ends(r) && end < len(line) {
			at = append(at, end)
		}
	}
	return at
}

// ends reports whether a rune is one that no word goes on with.
func ends(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }

// split finds the longest text that parts make up, and which of them do.
func (x *index) split(parts []string) (string, []int) {
	text, used := "", []int(nil)
	for _, long := range x.long {
		if len(long) <= len(text) {
			continue
		}
		for first := range parts {
			if made := whole(parts, first, long); made != nil {
				text, used = long, made
				break
			}
		}
	}
	return text, used
}

// whole finds which parts, from the first on, make up a text one after the
// other; nil if they do not.
func whole(parts []string, first int, text string) []int {
	var used []int
	for i := first; i < len(parts); i++ {
		n := begins(parts[i], text)
		if n == 0 && i == first {
			return nil
		}
		if n == 0 {
			continue
		}
		used = append(used, i)
		text = strings.TrimLeftFunc(text[n:], unicode.IsSpace)
		if text == "" {
			return used
		}
	}
	return nil
}

// begins returns how much of a text's beginning a part holds, besides a mark
// before it and a mark or a hint behind it; 0 if it is another's.
func begins(part, text string) int {
	most := 0
	for at := range part {
		if at > maxMark {
			break
		}
		n := common(part[at:], text)
		rest := part[at+n:]
		next, _ := utf8.DecodeRuneInString(rest)
		switch {
		case n == len(text) && (rest == "" || next == '\n' || ends(next) && len(rest) <= maxMark):
			return n
		case n < minPart || len(rest) > maxHint || next != '\n' && len(rest) > maxMark:
		default:
			most = max(most, n)
		}
	}
	return most
}

// common is the length of what two texts begin with, in whole characters.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(b) && !utf8.RuneStart(b[n]) {
		n--
	}
	return n
}
