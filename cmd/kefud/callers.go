package main

import (
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"kefud/config"
	"kefud/kefu"
	"kefud/wechat"
)

// admit gives what tells from which addresses pushes are let in; nil for all.
func (s *server) admit(c *config.Config, registry prometheus.Registerer) func(netip.Addr) bool {
	if c.WeChat.CallbackAddresses != config.AddressesWeChat {
		return nil
	}
	s.callers = wechat.NewCallers(wechat.CallersOptions{
		Source: s.client, Apps: s.askable, Logger: s.log, Registerer: registry,
	})
	return s.callers.Allows
}

// askable are the apps with which WeChat's API can be asked.
func (s *server) askable() []kefu.AppID {
	var apps []kefu.AppID
	for _, cred := range s.routing.Load().credentials() {
		if cred.Secret != "" {
			apps = append(apps, cred.App)
		}
	}
	return apps
}
