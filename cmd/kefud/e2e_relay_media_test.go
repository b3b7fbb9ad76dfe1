package main

import (
	"slices"
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

const (
	uploadPath   = "/cgi-bin/media/upload"
	downloadPath = "/cgi-bin/media/get"
)

// shown lists a chat as its owner sees it: texts, and pictures by their bytes.
func shown(c *simulator.Customer) []string {
	var all []string
	for _, m := range c.Inbox() {
		switch {
		case m.From != simulator.FromAPI:
		case m.Type == "image":
			all = append(all, string(m.Media))
		default:
			all = append(all, m.Text)
		}
	}
	return all
}

func TestRelayCarriesPicturesBothWays(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.arrives("cs1", "给您看看")
		wang.reads(line(1, "售前", "给您看看"))
		wang.says("好的")
		picture, push := r.image(c)
		if got := answer(t, r.send(push)); got.Kind != simulator.AnswerSuccess {
			t.Errorf("a picture was answered with %s", got)
		}
		r.pictures(wang.user, 1)
		want := []string{line(1, "售前", "给您看看"), line(1, "售前", "[图片]"), picture}
		if got := shown(wang.user); !slices.Equal(got, want) {
			t.Errorf("Wang sees %q, want %q", got, want)
		}

		reply, answered := r.image(wang.user)
		if told := wang.push(answered); told != "" {
			t.Errorf("told %q", told)
		}
		if got := r.pictures(c, 1); got[0] != reply {
			t.Error("the customer sees another picture")
		}
		wang.asks("历史", " 客户：给您看看\n", " 客户：[图片]\n", " 王小姐：[图片]")
		r.unrefused()
		r.well()
	})
}

// A picture is copied once from one app to the other, however often it is sent.
func TestRelayCopiesAPictureOnce(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.arrives("cs1", "同一张图")
		wang.reads(line(1, "售前", "同一张图"))
		wang.says("好的")
		id := c.Account().Media()
		fields := simulator.Fields{
			{Name: "MsgType", Value: "image"}, {Name: "PicUrl", Value: "https://mmbiz.qpic.cn/mmbiz_jpg/x/0"}, {Name: "MediaId", Value: id},
		}
		for n := range 2 {
			r.send(c.Raw(fields))
			r.pictures(wang.user, n+1)
			wang.says("收到")
		}
		if got := r.pictures(wang.user, 2); got[0] != got[1] {
			t.Error("they are not the same picture")
		}
		if up, down := r.box.Calls(uploadPath)[0], r.box.Calls(downloadPath)[0]; up != 1 || down != 1 {
			t.Errorf("uploaded %d times, downloaded %d times, want once each", up, down)
		}
		r.well()
	})
}

func TestRelayCarriesCards(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.arrives("cs1", "看这个商品")
		wang.reads(line(1, "售前", "看这个商品"))
		id := c.Account().Media()
		picture, _ := c.Account().MediaBytes(id)
		r.send(c.Raw(simulator.Fields{
			{Name: "MsgType", Value: "miniprogrampage"},
			{Name: "Title", Value: "蓝色杯子"},
			{Name: "AppId", Value: "wx00000000000000a1"},
			{Name: "PagePath", Value: "pages/goods?id=7"},
			{Name: "ThumbUrl", Value: "https://mmbiz.qpic.cn/mmbiz_jpg/x/0"},
			{Name: "ThumbMediaId", Value: id},
		}))
		if got := r.pictures(wang.user, 1); got[0] != string(picture) {
			t.Error("Wang sees another picture")
		}
		want := []string{line(1, "售前", "看这个商品"), line(1, "售前", "[小程序卡片] 蓝色杯子"), "路径：pages/goods?id=7"}
		if got := wang.lines()[:3]; !slices.Equal(got, want) {
			t.Errorf("Wang reads %q, want %q", got, want)
		}
		r.well()
	})
}

// serviceConfig adds an official account with customers of its own.
const serviceConfig = relayConfig + `
  - name: service
    kind: official_account
    app_id: wx00000000000000c1
    app_secret: secret-of-service
    original_id: gh_service
    token: token-of-service
    default_entry: cs1
    entries:
      - {tag: cs1, name: 公众号, steps: [{agent: wang}], answer_timeout: 0s}
`

// What cannot be carried is described, in both directions.
func TestRelayDescribesWhatItCannotCarry(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		o := relayOptions(redis, nil)
		o.config = serviceConfig
		r := start(t, o)
		wang := r.bound("wang")[0]
		c := r.somebody("service")
		for kind, described := range map[string]string{
			"voice": "[语音，无法转发]", "video": "[视频，无法转发]", "location": "[位置，无法转发]", "link": "[链接，无法转发]",
		} {
			r.send(c.Raw(simulator.Fields{{Name: "MsgType", Value: kind}, {Name: "MediaId", Value: "media-1"}}))
			wang.reads(line(1, "公众号", described))
			wang.says("收到")
		}
		r.await("all answers come", func() bool { return len(shown(c)) == 4 })
		voice := wang.user.Raw(simulator.Fields{{Name: "MsgType", Value: "voice"}, {Name: "MediaId", Value: "media-2"}})
		if told := wang.push(voice); told != "只能转发文字和图片，这条没有发出。" {
			t.Errorf("told %q", told)
		}
		wang.says("是这样的")
		r.hears(c, "是这样的")
		if got := shown(c); len(got) != 5 {
			t.Errorf("the customer has %q", got)
		}
		r.well()
	})
}

// A picture that WeChat does not give out is described with its address, and the
// words around it arrive all the same.
func TestRelayDescribesAPictureThatCannotBeHad(t *testing.T) {
	t.Parallel()
	onRedis(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang")[0]
		c := r.arrives("cs1", "请看图")
		wang.reads(line(1, "售前", "请看图"))
		wang.says("好的")
		heal := r.box.BreakAPI(simulator.APIBreak{Path: downloadPath, Account: r.accounts["shop"], ErrCode: 40007})
		_, push := r.image(c)
		if got := answer(t, r.send(push)); got.Kind != simulator.AnswerSuccess {
			t.Errorf("the picture was answered with %s", got)
		}
		r.writes(c, "看到了吗")
		wang.reads(line(1, "售前", "[图片]"))
		wang.reads(line(1, "售前", "看到了吗"))
		r.await("the picture is described", func() bool {
			return slices.ContainsFunc(wang.lines(), func(l string) bool {
				return strings.HasPrefix(l, line(1, "售前", "[图片没有取到] https://mmbiz.qpic.cn/"))
			})
		})
		if got := r.decision(c).Agent; got != "wang" {
			t.Errorf("the conversation is at %q", got)
		}
		wang.says("看不到")

		_, reply := r.image(wang.user)
		heal()
		r.box.BreakAPI(simulator.APIBreak{Path: downloadPath, Account: r.accounts["board"], ErrCode: 40007})
		wang.push(reply)
		wang.reads("会话 #1 的回复没有送达：图片无法发送。内容：[图片]")
		for _, f := range r.box.Faults() {
			t.Errorf("WeChat would complain: %s", f)
		}
	})
}
