package config

import (
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-playground/validator/v10"
)

// A rule is one word of the validate tags. valid is nil for the validator's own
// words. In wrong, VALUE stands for the value; in right, LIMIT for what the tag
// compares with.
type rule struct {
	valid        func(string) bool
	wrong, right string
}

var (
	idForm     = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)
	aesKeyForm = regexp.MustCompile(`^[A-Za-z0-9]{43}$`)
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`) // no braces: they would move every key to one slot of a cluster
)

var rules = map[string]rule{
	"oneof":    {nil, "VALUE is unknown", "write one of LIMIT"},
	"gt":       {nil, "VALUE is too little", "write more than LIMIT"},
	"gte":      {nil, "VALUE is too little", "write at least LIMIT"},
	"lt":       {nil, "VALUE is too much", "write less than LIMIT"},
	"lte":      {nil, "VALUE is too much", "write at most LIMIT"},
	"gtfield":  {nil, "VALUE is too little", "write more than refresh, best four times as much"},
	"required": {nil, "names nobody", "list at least one agent's id"},

	"id":         {idForm.MatchString, "VALUE is no name for this", "write 1 to 32 of a-z, 0-9, _ and -"},
	"name":       {validName, "VALUE is no name for this", "write 1 to 64 bytes without spaces"},
	"word":       {validWord, "VALUE holds a space or a control character", "write it without"},
	"tag":        {validTag, "VALUE is no tag", "write 1 to 128 bytes without spaces, with * only at the end"},
	"token":      {validName, "VALUE is no token", "write the Token set in WeChat's console, at most 64 bytes without spaces"},
	"aes_key":    {aesKeyForm.MatchString, "VALUE is no key", "write the 43 letters and digits of WeChat's console"},
	"key32":      {validKey, "VALUE is no key", "write 32 bytes in base64, as `openssl rand -base64 32` prints them"},
	"key_prefix": {prefixForm.MatchString, "VALUE is no prefix", "write 1 to 64 letters, digits and signs of . _ : -"},
	"listen":     {validListen, "VALUE is no address to listen at", "write :8080 or 127.0.0.1:8080"},
	"address":    {validAddress, "VALUE is no address", "write host:port"},
	"proxy":      {validProxy, "VALUE is no address", "write one such as 10.1.2.3, or a range such as 10.0.0.0/8"},
	"api_base":   {validBase, "is no address of an API", "write one such as https://api.weixin.qq.com, without user or query"},
}

// values checks every single value by its validate tag.
func (r *report) values(c *Config) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("yaml") })
	for word, rule := range rules {
		if rule.valid == nil {
			continue
		}
		valid := func(f validator.FieldLevel) bool { return rule.valid(f.Field().String()) }
		if err := v.RegisterValidation(word, valid); err != nil {
			panic("config: register rule " + word + ": " + err.Error()) // a word the validator keeps for itself
		}
	}
	var found validator.ValidationErrors
	errors.As(v.Struct(c), &found)
	for _, f := range found {
		_, path, _ := strings.Cut(f.Namespace(), ".")
		rule := rules[f.Tag()]
		wrong := strings.Replace(rule.wrong, "VALUE", r.show(path, f.Value()), 1)
		if rule.valid != nil && reflect.ValueOf(f.Value()).IsZero() {
			wrong = "is missing"
		}
		limit := strings.ReplaceAll(f.Param(), " ", ", ")
		r.add(path, wrong, strings.Replace(rule.right, "LIMIT", limit, 1))
	}
}

func validWord(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

func validName(text string) bool { return text != "" && len(text) <= 64 && validWord(text) }

func validTag(text string) bool {
	return text != "" && len(text) <= 128 && validWord(text) && !strings.Contains(text[:len(text)-1], "*")
}

func validKey(text string) bool {
	key, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(key) == 32
}

func validListen(text string) bool {
	_, port, err := net.SplitHostPort(text)
	return err == nil && validPort(port)
}

func validAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && host != "" && port != "0" && validWord(text) && validPort(port)
}

func validPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

func validProxy(text string) bool {
	_, errRange := netip.ParsePrefix(text)
	_, errAddr := netip.ParseAddr(text)
	return errRange == nil || errAddr == nil
}

func validBase(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
