package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

const healthcheckTimeout = 3 * time.Second

// healthcheckCommand is for images that have no shell and no curl.
func (p *program) healthcheckCommand() *cobra.Command {
	var url string
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server whether it lives (for a container's health check)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return healthcheck(c.Context(), url)
		},
	}
	c.Flags().StringVar(&url, "url", p.ownAddress()+"/healthz", "the server's health page; by default at the port of KEFUD_LISTEN")
	return c
}

// ownAddress is where the server of this environment listens, as the shipped
// configuration has it.
func (p *program) ownAddress() string {
	if listen, ok := p.env("KEFUD_LISTEN"); ok {
		if address, err := reachable(listen); err == nil {
			return address
		}
	}
	return "http://127.0.0.1:8080"
}

// reachable turns an address to listen on into one to connect to.
func reachable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("listen address %q: %w", listen, err)
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func healthcheck(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written, nothing can be lost
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s answers %s", url, resp.Status)
	}
	return nil
}
