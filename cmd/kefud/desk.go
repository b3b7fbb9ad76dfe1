package main

import (
	"cmp"
	"fmt"
	"strings"

	"kefud/config"
	"kefud/internal/simulator"
)

// addAccounts makes the WeChat accounts that a config is about, pushing to a
// server.
func addAccounts(box *simulator.Box, c *config.Config, server string, into map[string]*simulator.Account) error {
	for i := range c.Apps {
		a := &c.Apps[i]
		account, err := box.AddAccount(account(a, server))
		if err != nil {
			return err
		}
		into[string(a.Name)] = account
	}
	return nil
}

// account describes an app's WeChat account as the config means it to be.
// Mini-programs write JSON, as new ones do, except in plain mode, whose default
// was XML.
func account(a *config.App, server string) simulator.AccountOptions {
	o := simulator.AccountOptions{
		Name: string(a.Name), Kind: simulator.Kind(a.Kind), AppID: a.AppID, Secret: a.AppSecret.Reveal(),
		OriginalID: cmp.Or(a.OriginalID, "gh_"+string(a.Name)), Token: a.Token.Reveal(), AESKey: a.EncodingAESKey.Reveal(),
		Mode: simulator.Mode(a.Encryption), Format: simulator.XML,
		Targets:        []string{strings.TrimSuffix(server, "/") + "/wechat/" + string(a.Name)},
		ShowKfAccounts: true, Switchboard: a.Role == config.RoleSwitchboard,
		Allowance: simulator.Allowance{
			AfterMessage: a.Allowance.AfterMessage, MessageWindow: a.Allowance.AfterMessageWindow,
			AfterEnter: a.Allowance.AfterEnter, EnterWindow: a.Allowance.AfterEnterWindow,
		},
	}
	if a.Kind == config.KindMiniProgram && a.Encryption != config.EncryptionPlain {
		o.Format = simulator.JSON
	}
	if a.TransferToAgent == config.TransferAlways {
		o.Naming = simulator.NamingHonoured
	}
	return o
}

// deskAgent describes an agent of the config at his simulated desk.
func deskAgent(a *config.Agent) simulator.AgentOptions {
	return simulator.AgentOptions{
		KfAccount: cmp.Or(a.Desk.Account, fmt.Sprintf("%s@%s", a.ID, a.Desk.App)), KfOpenID: a.Desk.OpenID,
		Nick: cmp.Or(a.Name, string(a.ID)), Capacity: a.Capacity,
	}
}
