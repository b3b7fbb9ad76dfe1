package wechat

import (
	"encoding/xml"
	"strconv"
	"testing"
	"time"

	"kefud/kefu"
)

// What a push and its answer take here and with encoding/xml is compared within one
// run, turn by turn, so that a slow or busy machine changes nothing. The reference
// does less: it reads fewer fields, and checks nothing.
func TestCodecOutrunsEncodingXML(t *testing.T) { //nolint:paralleltest // other tests would take the time of one of the two
	const rounds, pushes, factor = 15, 300, 2
	c := mustCodec(t, CodecOptions{Encryption: Plain})
	q, text := wrap(t, inClear, samples()[0].xml)
	body, d := []byte(text), decided(kefu.WayNamed, "kf2001@gh_1a2b3c")
	lean, plain := time.Duration(1<<62), time.Duration(1<<62)
	for range rounds {
		lean = min(lean, timed(pushes, func() {
			p, err := c.Open(q, body)
			if err == nil {
				_, _, err = c.Seal(nil, &p, d)
			}
			if err != nil {
				t.Fatal(err)
			}
		}))
		plain = min(plain, timed(pushes, func() {
			if err := firstXML(body); err != nil {
				t.Fatal(err)
			}
		}))
	}
	if factor*lean > plain {
		t.Errorf("%d pushes took %s, with encoding/xml %s: want %d times less", pushes, lean, plain, factor)
	}
}

// timed is how long it takes to do something n times.
func timed(n int, do func()) time.Duration {
	began := time.Now()
	for range n {
		do()
	}
	return time.Since(began)
}

// firstXML reads a message and writes a transfer as one would first.
func firstXML(body []byte) error {
	var in struct {
		ToUserName, FromUserName, MsgType, Event, SessionFrom string
		MsgID                                                 string `xml:"MsgId"`
		CreateTime                                            int64
	}
	if err := xml.Unmarshal(body, &in); err != nil {
		return err
	}
	type cdata struct {
		Text string `xml:",cdata"`
	}
	_, err := xml.Marshal(struct {
		XMLName                           xml.Name `xml:"xml"`
		ToUserName, FromUserName, MsgType cdata
		CreateTime                        string
		KfAccount                         cdata `xml:"TransInfo>KfAccount"`
	}{
		ToUserName: cdata{in.FromUserName}, FromUserName: cdata{in.ToUserName}, MsgType: cdata{"transfer_customer_service"},
		CreateTime: strconv.FormatInt(in.CreateTime, 10), KfAccount: cdata{"kf2001@gh_1a2b3c"},
	})
	return err
}
