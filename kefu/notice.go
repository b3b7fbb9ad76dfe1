package kefu

import (
	"fmt"
	"strings"
)

// A NoticeKind is one of the texts the server sends to customers by itself.
type NoticeKind string

// The notices.
const (
	NoticeGreeting   NoticeKind = "greeting"   // at every enter event
	NoticeWaiting    NoticeKind = "waiting"    // nobody on the ladder can take the customer; once per conversation
	NoticeReassigned NoticeKind = "reassigned" // another agent took over; once per conversation
	NoticeClosed     NoticeKind = "closed"     // the agent ended the conversation
)

// NoticeData is what a notice's template may use.
type NoticeData struct {
	Agent    string // name of the agent who has the conversation; "" when WeChat's desk chooses who
	Entry    string // name of the entry
	Position int    // waiting customers of the entry up to and with this one; 0 if none waits
}

// Notices are an app's notice texts, compiled. The zero value sends none.
type Notices struct {
	texts map[NoticeKind]*template
}

// NewNotices compiles notice texts. A text of "" means that the notice is not
// sent. A text that is no template, or that uses another field than those of
// NoticeData, is an error that names the notice.
func NewNotices(texts map[NoticeKind]string) (Notices, error) {
	n := Notices{texts: make(map[NoticeKind]*template, len(texts))}
	for kind, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		t, err := newTemplate(string(kind), text, NoticeData{})
		if err != nil {
			return Notices{}, fmt.Errorf("notice %s: %w", kind, err)
		}
		n.texts[kind] = t
	}
	return n, nil
}

// Has reports whether the notice is sent at all.
func (n Notices) Has(kind NoticeKind) bool { return n.texts[kind] != nil }

// Render gives the text of a notice, "" if it is not sent.
func (n Notices) Render(kind NoticeKind, d NoticeData) (string, error) {
	t := n.texts[kind]
	if t == nil {
		return "", nil
	}
	text, err := t.render(d)
	if err != nil {
		return "", fmt.Errorf("render notice %s: %w", kind, err)
	}
	return strings.TrimSpace(text), nil
}
