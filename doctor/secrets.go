package doctor

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	weakToken  = 16 // bytes; shorter ones can be tried out
	worthless  = 8
	demoToken  = "demo-token"
	keyBytes   = 32
	keyLetters = 43 // of an EncodingAESKey

	readableByOthers = 0o004
	readableByGroup  = 0o040
	writableByOthers = 0o022

	howToDraw = "write one that nobody can guess, as `openssl rand -hex 16` prints them"
)

// checkFile looks at who may read the configuration file, and write it.
func checkFile(f *File) []Finding {
	t := about("config")
	t.ok("config.read", "%s can be read, and nothing in it is wrong", f.Path)
	keys, mode := strings.Join(f.Literals, ", "), f.Mode.Perm()
	closeIt := "chmod 600 " + f.Path + " and chown it to the user who runs kefud, or keep the secrets in the environment: ${NAME}"
	switch {
	case mode&writableByOthers != 0:
		t.add(Fail, "config.mode", fmt.Sprintf("the file's mode is %04o: others can change it", mode), "chmod go-w "+f.Path) // 600 may keep it from the user who runs kefud
	case len(f.Literals) > 0 && mode&readableByOthers != 0:
		t.add(Fail, "config.mode", fmt.Sprintf("the file's mode is %04o: everybody on this machine can read the secrets in it (%s)", mode, keys), closeIt)
	case len(f.Literals) > 0 && mode&readableByGroup != 0:
		t.add(Warn, "config.mode", fmt.Sprintf("the file's mode is %04o: its group can read the secrets in it (%s)", mode, keys), closeIt)
	case len(f.Literals) > 0:
		t.ok("config.mode", "the file's mode is %04o: only its owner can read the secrets in it", mode)
	default:
		t.ok("config.mode", "no secret stands in the file")
	}
	return t.found
}

// checkAdmin looks at what opens the administration.
func checkAdmin(s *Setup) []Finding {
	t := about("admin")
	const id = "config.admin_token"
	do := "set admin.token (KEFUD_ADMIN_TOKEN): " + howToDraw
	switch n := len(s.AdminToken); {
	case n == 0 && s.Embedded:
		t.add(Warn, id, "there is no admin.token, and without a Redis nobody can ask this server anything: kefud agents, outbox, explain, export and forget do not work", do)
	case n == 0:
		t.ok(id, "there is no admin.token: /api/v1 answers 403; the commands go by Redis")
	case n < worthless:
		t.add(Fail, id, fmt.Sprintf("admin.token has %d bytes: it can be guessed, and it opens customers' transcripts", n), do)
	case n < weakToken || common(s.AdminToken):
		t.add(Warn, id, "admin.token is weak: it opens customers' transcripts", do)
	default:
		t.ok(id, "admin.token has %d bytes", n)
	}
	return t.found
}

// checkShared looks for what two apps should not have in common.
func checkShared(s *Setup) []Finding {
	t := about("apps")
	for i := range s.Apps {
		for j := range s.Apps[:i] {
			a, b := &s.Apps[j], &s.Apps[i]
			if a.Token == b.Token {
				t.add(Warn, "config.shared_token", fmt.Sprintf("%s and %s have the same token: a push of the one is believed at the other", a.Name, b.Name),
					fmt.Sprintf("give %s a token of its own, here and in %s", b.Name, b.menuPush()))
			}
			if a.AppID != "" && a.AppID == b.AppID {
				t.add(Fail, "config.shared_app_id", fmt.Sprintf("%s and %s have the same app_id: WeChat pushes to one URL only", a.Name, b.Name), "write each app's own AppID, or remove one app")
			}
			if a.Key != "" && a.Key == b.Key {
				t.add(Warn, "config.shared_key", fmt.Sprintf("%s and %s have the same encoding_aes_key", a.Name, b.Name),
					fmt.Sprintf("draw another for %s in %s", b.Name, b.menuPush()))
			}
		}
	}
	return t.found
}

// checkSecrets looks at what an app is signed and encrypted with.
func checkSecrets(a *App) []Finding {
	t := about("app %s", a.Name)
	checkToken(t, a)
	if a.Key != "" {
		switch key, err := base64.StdEncoding.DecodeString(a.Key + "="); {
		case len(a.Key) != keyLetters || err != nil || len(key) != keyBytes:
			t.add(Fail, "app.aes_key", fmt.Sprintf("encoding_aes_key has %d characters and gives no key of 32 bytes", utf8.RuneCountInString(a.Key)), "copy the 43 characters of EncodingAESKey from "+a.menuPush())
		case a.Key == a.PreviousKey:
			t.add(Warn, "app.aes_key", "previous_encoding_aes_key is the present key: after a change what is under way would be lost", "write the key before it, or leave it empty")
		default:
			t.ok("app.aes_key", "encoding_aes_key is a key of 32 bytes")
		}
	}
	switch {
	case a.Encryption == Safe:
		t.ok("app.encryption", "pushes must be encrypted (安全模式)")
	case a.Key == "":
		t.add(Warn, "app.encryption", "encryption: "+a.Encryption+": nothing signs the bodies of pushes, and everybody on their way can read and change them",
			"choose 安全模式 in "+a.menuPush()+", copy its EncodingAESKey to encoding_aes_key, and set encryption: safe")
	default:
		t.add(Warn, "app.encryption", "encryption: "+a.Encryption+": bodies that are not encrypted are still accepted",
			"choose 安全模式 in "+a.menuPush()+", and then set encryption: safe")
	}
	present, previous := a.Transcripts[0], a.Transcripts[1]
	switch {
	case present == nil:
	case len(present) != keyBytes || previous != nil && len(previous) != keyBytes:
		t.add(Fail, "app.transcript_key", "transcript.key and previous_key must have 32 bytes", "write what `openssl rand -base64 32` prints")
	case bytes.Equal(present, previous):
		t.add(Warn, "app.transcript_key", "transcript.previous_key is the present key: what the one before sealed cannot be read", "write the key before it, or leave it empty")
	default:
		t.ok("app.transcript_key", "transcripts are sealed with a key of 32 bytes")
	}
	return t.found
}

func checkToken(t *topic, a *App) {
	const id = "app.token"
	do := howToDraw + ", and set it here and in " + a.menuPush()
	level := Warn
	if a.Switchboard {
		level = Fail // whoever knows it can speak as an agent
	}
	switch {
	case a.Token == demoToken:
		t.add(level, id, "the token is the demo's: anybody can sign pushes", do)
	case len(a.Token) < worthless || common(a.Token):
		t.add(level, id, "the token can be guessed: whoever does can sign pushes", do)
	case len(a.Token) < weakToken:
		t.add(Warn, id, fmt.Sprintf("the token has %d bytes, which is weak", len(a.Token)), do)
	default:
		t.ok(id, "the token has %d bytes", len(a.Token))
	}
}

// common reports whether a token is what people type when they are to think of one.
func common(token string) bool {
	letters := map[rune]bool{}
	for _, r := range token {
		letters[r] = true
	}
	const fewest = 5 // different characters
	if len(letters) < fewest {
		return true
	}
	low := strings.ToLower(token)
	for _, word := range []string{"changeme", "change-me", "your-token", "yourtoken", "12345678", "password", demoToken} {
		if strings.Contains(low, word) {
			return true
		}
	}
	return false
}
