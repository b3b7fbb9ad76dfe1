package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"kefud/kefu"
)

// Readiness is what a running server says of itself.
type Readiness struct {
	Ready  bool
	Status string   // "ready", "degraded", "starting", "stopping"
	Faults []string // of its components, one each
	Pushes map[kefu.AppID]Pushes
}

// Pushes are what has come to an app's URL since the server's start. Strange are
// those that were refused for the address they came from.
type Pushes struct{ Answered, Refused, Strange int }

// checkListen looks at how the server stands in the network, and in time.
func checkListen(s *Setup) []Finding {
	t := about("server")
	host, port, _ := net.SplitHostPort(s.Listen)
	switch {
	case port == "80":
		t.add(Warn, "server.port", "it listens on port 80, without TLS: on the way from WeChat everybody can read what is not encrypted", "put a TLS proxy in front and give WeChat the https:// address")
	case port == "443":
		t.add(Warn, "server.port", "it listens on port 443, but speaks no TLS itself", "put a TLS proxy there, and listen at another port behind it")
	default:
		t.ok("server.port", "it listens at %s; WeChat calls ports 80 and 443 only, so a TLS proxy in front has to pass /wechat/ on to it", s.Listen)
	}
	checkProxies(t, s.TrustedProxies, host)
	if s.FromWeChat {
		checkAddresses(t, s.TrustedProxies, host, port)
	}
	if s.APITimeout >= s.ReplyBudget {
		t.add(Warn, "server.budget", fmt.Sprintf("wechat.timeout (%s) is not less than reply_budget (%s): one slow call of the API uses up the time of an answer", s.APITimeout, s.ReplyBudget),
			"set wechat.timeout below reply_budget, such as 2s and 2500ms")
	} else {
		t.ok("server.budget", "a callback is answered within %s, a call of the API within %s", s.ReplyBudget, s.APITimeout)
	}
	return t.found
}

func checkProxies(t *topic, proxies []string, host string) {
	for _, p := range proxies {
		if prefix, err := netip.ParsePrefix(p); err == nil && prefix.Bits() == 0 {
			t.add(Warn, "server.proxies", "trusted_proxies holds "+p+": everybody can say which address he has", "write the addresses of your proxies alone")
			return
		}
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case len(proxies) > 0:
		t.ok("server.proxies", "X-Forwarded-For is believed of %s", strings.Join(proxies, ", "))
	case err == nil && ip.IsLoopback():
		t.ok("server.proxies", "nobody's X-Forwarded-For is believed: addresses in the log are the proxy's (trusted_proxies: 127.0.0.1 would show the callers')")
	default:
		t.ok("server.proxies", "nobody's X-Forwarded-For is believed")
	}
}

// checkAddresses looks whether those who push are seen at all, where WeChat alone
// is let in: what comes by a proxy that is not believed comes from the proxy.
func checkAddresses(t *topic, proxies []string, host, port string) {
	const id, text, do = "server.addresses", "wechat.callback_addresses is wechat and trusted_proxies names nobody", "name the proxy in trusted_proxies, or set wechat.callback_addresses: any"
	ip, err := netip.ParseAddr(host)
	switch {
	case len(proxies) > 0:
		t.ok(id, "pushes are let in from WeChat's addresses alone")
	case err == nil && ip.IsLoopback():
		t.add(Fail, id, text+": all that comes to "+host+" comes from a proxy, and every push will be refused with 403", do)
	case port != "80":
		t.add(Warn, id, text+": if there is a proxy in front, every push will be refused with 403", do)
	default:
		t.ok(id, "pushes are let in from WeChat's addresses alone")
	}
}

// checkReady tells how a running server is. That none runs is no fault: doctor
// may well be asked before.
func checkReady(f *Facts) []Finding {
	t := about("server")
	const id = "server.ready"
	switch {
	case f.ReadyErr != nil:
		t.add(Unchecked, id, "not checked: no server answers at the configured address ("+f.ReadyErr.Error()+")", "kefud serve starts one")
	case !f.Ready.Ready:
		t.add(Warn, id, "the running server is not ready: "+f.Ready.Status+faults(f.Ready.Faults), "look at its log")
	case len(f.Ready.Faults) > 0:
		t.add(Warn, id, "the running server is "+f.Ready.Status+faults(f.Ready.Faults), "see the findings on its parts below, and its log")
	default:
		t.ok(id, "a server runs and is %s", f.Ready.Status)
	}
	return t.found
}

func faults(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, "; ") + ")"
}

// noticeable is a difference between clocks that is worth a line.
const noticeable = 5 * time.Second

// checkClocks compares our clock with WeChat's and with Redis's.
func checkClocks(s *Setup, f *Facts) []Finding {
	t := about("clock")
	const do = "set this machine's clock by NTP: timedatectl set-ntp true"
	t.clock(clockReading{"clock.wechat", "WeChat's", f.Clock, f.ClockErr, do}, s.PushMaxAge)
	if !s.Embedded && f.Redis.Err == nil {
		t.clock(clockReading{"clock.redis", "Redis's", f.Redis.Offset, f.Redis.OffsetErr, do + ", and that of Redis too"}, s.PushMaxAge)
	}
	return t.found
}

// A clockReading is one comparison of clocks.
type clockReading struct {
	id, whose string
	ahead     time.Duration // of ours
	err       error
	do        string
}

func (t *topic) clock(r clockReading, maxAge time.Duration) {
	side := "ahead of"
	if r.ahead < 0 {
		side = "behind"
	}
	text := fmt.Sprintf("%s clock is %s %s ours", r.whose, round(r.ahead.Abs()), side)
	switch {
	case r.err != nil:
		t.add(Unchecked, r.id, "not checked: "+r.err.Error(), "see what is said of its reachability")
	case maxAge > 0 && r.ahead.Abs() > maxAge/2:
		t.add(Fail, r.id, fmt.Sprintf("%s: pushes that are more than push_max_age (%s) off are refused with 403", text, maxAge), r.do)
	case r.ahead.Abs() > noticeable:
		t.add(Warn, r.id, text, r.do)
	default:
		t.ok(r.id, "%s", text)
	}
}
