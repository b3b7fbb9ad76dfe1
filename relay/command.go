package relay

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A verb is what an agent's message asks for.
type verb uint8

const (
	verbSay      verb = iota // no command: words for a customer
	verbSelect               // a label alone
	verbSpace                // a label with words right behind it, which may be anything
	verbOnline               // 上线
	verbOffline              // 下线
	verbBusy                 // 忙碌
	verbList                 // 列表
	verbHistory              // 历史
	verbClose                // 结束
	verbTransfer             // 转给
	verbHelp                 // 帮助
	verbCode                 // the code of an invitation, which is no word to a customer
)

var verbNames = [...]string{"say", "select", "space", "online", "offline", "busy", "list", "history", "close", "transfer", "help", "code"}

// String gives the verb as metrics name it.
func (v verb) String() string { return verbNames[v] }

// verbOf finds the command that a word is.
func verbOf(word string) (verb, bool) {
	switch strings.ToLower(word) {
	case "上线", "online":
		return verbOnline, true
	case "下线", "offline":
		return verbOffline, true
	case "忙碌", "busy":
		return verbBusy, true
	case "列表", "list":
		return verbList, true
	case "历史", "history":
		return verbHistory, true
	case "结束", "close":
		return verbClose, true
	case "帮助", "help":
		return verbHelp, true
	}
	return verbSay, false
}

// A command is an agent's message, read.
type command struct {
	verb  verb
	label int    // 0 = the selected conversation
	text  string // verbSay: as he wrote it, without the label; verbCode: the code
	to    string // verbTransfer
}

// targets reports whether the command is about a conversation.
func (c command) targets() bool {
	switch c.verb {
	case verbSay, verbSelect, verbHistory, verbClose, verbTransfer:
		return true
	case verbSpace, verbOnline, verbOffline, verbBusy, verbList, verbHelp, verbCode:
	}
	return false
}

// selects reports whether the conversation is the selected one from then on.
func (c command) selects() bool { return c.verb == verbSay || c.verb == verbSelect }

// parse reads what an agent wrote: words, a label and words, a command, or a
// label and a command. Known tells whether there is an agent or group of a name:
// 转给 may stand right before it.
func parse(text string, known func(string) bool) command {
	label, rest, glued := cutLabel(text)
	if label == 0 {
		return verbIn(command{text: text}, text, known)
	}
	if rest == "" {
		return command{verb: verbSelect, label: label}
	}
	c := verbIn(command{label: label, text: rest}, rest, known)
	if c.verb == verbSay && glued {
		return command{verb: verbSpace, label: label}
	}
	return c
}

// verbIn reads a command out of words that may be one.
func verbIn(c command, words string, known func(string) bool) command {
	words = strings.TrimSpace(words)
	words = strings.TrimPrefix(strings.TrimPrefix(words, "/"), "／")
	if v, ok := verbOf(words); ok {
		c.verb = v
		return c
	}
	if to, ok := cutTransfer(words, known); ok {
		c.verb, c.to = verbTransfer, to
	}
	return c
}

// cutTransfer reads 转给 and transfer, which have one word after them. To nobody is
// a command, too: it is answered with who there is.
func cutTransfer(words string, known func(string) bool) (string, bool) {
	if to, ok := strings.CutPrefix(words, "转给"); ok {
		name := strings.TrimSpace(to)
		apart := to != strings.TrimLeftFunc(to, unicode.IsSpace)
		return name, name == "" || known(name) || apart && oneWord(name)
	}
	const english = "transfer"
	if strings.EqualFold(words, english) {
		return "", true
	}
	if len(words) > len(english) && strings.EqualFold(words[:len(english)], english) {
		to := words[len(english):]
		name := strings.TrimSpace(to)
		return name, to != strings.TrimLeftFunc(to, unicode.IsSpace) && (known(name) || oneWord(name))
	}
	return "", false
}

func oneWord(s string) bool { return len(strings.Fields(s)) == 1 }

// cutLabel takes a label off the beginning of a text: "#12" or "＃１２", the
// digits being ASCII or full-width. Glued says that it is not certain where it
// ends, or whether it is one: words follow with nothing between or, after a sign,
// more digits ("#12:30"), or it stands apart from its sign ("# 12"). 0 = there is
// none.
func cutLabel(text string) (int, string, bool) {
	const most = 9999
	rest := strings.TrimSpace(text)
	r, size := utf8.DecodeRuneInString(rest)
	if r != '#' && r != '＃' {
		return 0, text, false
	}
	rest = rest[size:]
	apart := rest
	rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
	glued := rest != apart
	label, digits := 0, 0
	for {
		r, size = utf8.DecodeRuneInString(rest)
		d := digit(r)
		if d < 0 || label > most {
			break
		}
		label, digits, rest = label*10+d, digits+1, rest[size:]
	}
	if digits == 0 || label == 0 || label > most {
		return 0, text, false
	}
	trimmed := strings.TrimLeftFunc(rest, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("：:，,、·", r)
	})
	switch first, _ := utf8.DecodeRuneInString(trimmed); {
	case trimmed == rest:
		glued = glued || rest != ""
	case !strings.ContainsFunc(rest[:len(rest)-len(trimmed)], unicode.IsSpace):
		glued = glued || digit(first) >= 0
	}
	return label, strings.TrimRightFunc(trimmed, unicode.IsSpace), glued
}

// digit gives a digit's value, -1 for what is none.
func digit(r rune) int {
	switch {
	case '0' <= r && r <= '9':
		return int(r - '0')
	case '０' <= r && r <= '９':
		return int(r - '０')
	}
	return -1
}
