package wechat

import "time"

// A Diagnosis says of a captured request how it came, and whether Open would
// take it if it came now.
type Diagnosis struct {
	Signed   bool          // signature holds
	Mode     Encryption    // in which it came; "" = the body is no push
	JSON     bool          // else XML
	Sealed   bool          // msg_signature holds for the ciphertext
	Key      int           // which key opens the ciphertext: 1 = the present, 2 = the one before; 0 = none
	Age      time.Duration // of its timestamp; 0 if it has none
	Receiver string        // the account it is for, as it says: gh_…
	Err      error         // why Open would refuse it, were it fresh; nil = it would not
}

// Diagnose looks at a captured request, for people who wonder why it was
// refused. Nothing of it may be told to whoever sent a request: Open says less
// for good reasons.
func (c *Codec) Diagnose(q Query, body []byte) Diagnosis {
	d := Diagnosis{Signed: c.VerifyURL(q) == nil}
	if seconds, ok := parseSeconds(q.Timestamp); ok {
		d.Age = c.now().Sub(time.Unix(seconds, 0))
	}
	lenient := *c
	lenient.maxAge, lenient.xmlOnly = 0, false
	var f fields
	format, err := lenient.parse(body, &f)
	if err == nil {
		d.JSON = format == formatJSON
		d.Receiver = userName(f.toUserName)
		lenient.look(&d, q, &f)
	}
	strict := *c
	strict.maxAge = 0
	_, d.Err = strict.Open(q, body)
	return d
}

// look finds out how the fields of a body are encrypted.
func (c *Codec) look(d *Diagnosis, q Query, f *fields) {
	switch {
	case f.encrypt == "" && f.msgType == "":
		return
	case f.encrypt == "":
		d.Mode = Plain
		return
	case f.msgType == "":
		d.Mode = Safe
	default:
		d.Mode = Compatible
	}
	d.Sealed = c.verifyCiphertext(nil, q, f.encrypt) == nil
	for i := range c.keys {
		one := *c
		one.keys = c.keys[i : i+1]
		if text, _, err := one.decrypt(new([]byte), f.encrypt); err == nil {
			d.Key = i + 1
			var inner fields
			if _, err := c.parse(text, &inner); err == nil && inner.toUserName != "" {
				d.Receiver = userName(inner.toUserName)
			}
			return
		}
	}
}
