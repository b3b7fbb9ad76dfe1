package outbox

import (
	"errors"
	"strings"

	"kefud/kefu"
)

// A draft is what to send or, without it, the reason why there is nothing.
type draft struct {
	text    string
	media   kefu.Media
	refusal string
}

// compose makes what a delivery comes to. An error comes with its reason.
func (o *Outbox) compose(d kefu.Delivery) (draft, error) {
	var note draft
	err := safely(func() error {
		table := o.table()
		app := table.App(d.To.App)
		if app == nil {
			note.refusal = reasonNoApp
			return nil
		}
		var err error
		note, err = write(table, app, d)
		return err
	})
	switch {
	case errors.As(err, new(*panicError)):
		return draft{refusal: reasonPanic}, err
	case err != nil:
		return draft{refusal: reasonText}, err
	case note == (draft{}):
		return draft{refusal: reasonSwitchedOff}, nil
	}
	return note, nil
}

func write(table *kefu.Table, app *kefu.App, d kefu.Delivery) (draft, error) {
	switch {
	case d.More:
		return draft{text: app.Texts.Render(kefu.TextMore, kefu.TextData{})}, nil
	case len(d.Lines) == 1 && d.Lines[0].Words.Media != (kefu.Media{}):
		return draft{media: d.Lines[0].Words.Media}, nil
	case len(d.Lines) > 0:
		lines := make([]string, len(d.Lines))
		for i, line := range d.Lines {
			lines[i] = line.Show(entryName(table, line), app.Texts)
		}
		return draft{text: strings.Join(lines, "\n")}, nil
	case d.Words.Media != (kefu.Media{}):
		return draft{media: d.Words.Media}, nil
	case d.Answers():
		return draft{text: d.Words.Text}, nil
	}
	text, err := app.Notices.Render(d.Notice, noticeData(table, app, d))
	return draft{text: text}, err
}

// entryName is how agents know the entry of a line: by its name, else by its tag.
func entryName(table *kefu.Table, line kefu.Line) string {
	app := table.App(line.Of.App)
	if app == nil {
		return string(line.Entry)
	}
	if e := app.Entry(line.Entry); e != nil && e.Name != "" {
		return e.Name
	}
	return string(line.Entry)
}

func noticeData(table *kefu.Table, app *kefu.App, d kefu.Delivery) kefu.NoticeData {
	data := kefu.NoticeData{Position: d.Position}
	if agent := table.Agent(d.Agent); agent != nil {
		data.Agent = agent.Name
	}
	if entry := app.Entry(d.Entry); entry != nil {
		data.Entry = entry.Name
	}
	return data
}
