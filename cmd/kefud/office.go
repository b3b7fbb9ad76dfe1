package main

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"kefud/config"
	"kefud/handler"
	"kefud/kefu"
	"kefud/relay"
	"kefud/store"
)

// An office keeps agents' chats, customers' messages and what is owed: the store.
type office interface {
	handler.Office
	handler.Archive
	handler.Outbox
}

// openOffice opens the store of a configuration, and gives with it what closes
// it.
func openOffice(ctx context.Context, c *config.Config) (office, func() error, error) {
	s, err := store.Open(ctx, storeOptions(c, zerolog.Nop(), nil))
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// An administration does what the commands ask for.
type administration interface {
	people
	creditor
}

// people are agents and customers, as the commands about them need them.
type people interface {
	agents(ctx context.Context) ([]handler.Agent, error)
	invite(ctx context.Context, agent *kefu.Agent) (handler.Invitation, error)
	unbind(ctx context.Context, agent kefu.AgentID) (bool, error)
	// transcript may give none; of a server, that is an error.
	transcript(ctx context.Context, id kefu.CustomerID) ([]kefu.Saying, error)
	forget(ctx context.Context, id kefu.CustomerID) error
}

// administer does work with the administration of a configuration: on Redis, or
// at a server if the store is embedded in it or the server is named.
func administer(ctx context.Context, c *config.Config, server string, work func(context.Context, administration) error) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	return administerLong(ctx, c, server, work)
}

// administerLong is administer for work that sees to its own timeouts.
func administerLong(ctx context.Context, c *config.Config, server string, work func(context.Context, administration) error) error {
	if asksServer(c, server) {
		client, err := newAdminClient(c, server)
		if err != nil {
			return err
		}
		return work(ctx, client)
	}
	table, err := c.Table()
	if err != nil {
		return err
	}
	kept, closeOffice, err := openOffice(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(work(ctx, storeAdministration{kept, table}), closeOffice())
}

// A storeAdministration needs no server.
type storeAdministration struct {
	office office
	table  *kefu.Table
}

func (a storeAdministration) agents(ctx context.Context) ([]handler.Agent, error) {
	chats, err := a.office.Chats(ctx)
	return handler.NewAgents(a.table, chats), err
}

func (a storeAdministration) invite(ctx context.Context, agent *kefu.Agent) (handler.Invitation, error) {
	i := kefu.Invitation{
		Agent: agent.ID, App: agent.Relay.App, Code: relay.NewCode(),
		At: time.Now().UTC(), For: handler.InvitationTime,
	}
	return handler.NewInvitation(i), a.office.Invite(ctx, i)
}

func (a storeAdministration) unbind(ctx context.Context, agent kefu.AgentID) (bool, error) {
	return a.office.Unbind(ctx, agent)
}

func (a storeAdministration) transcript(ctx context.Context, id kefu.CustomerID) ([]kefu.Saying, error) {
	return a.office.Transcript(ctx, id)
}

func (a storeAdministration) forget(ctx context.Context, id kefu.CustomerID) error {
	return a.office.Forget(ctx, id)
}
