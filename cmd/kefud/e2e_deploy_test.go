package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kefud/internal/redistest"
)

// What deploy/ asks Prometheus for, a running server exports, labels included.
func TestAlertsAndDashboardAskForWhatIsExported(t *testing.T) {
	t.Parallel()
	exported := exported(pageOfDesk(t) + pageOfRelay(t))
	asked := alertQueries(t)
	maps.Copy(asked, dashboardQueries(t))
	if len(asked) < 30 {
		t.Fatalf("only %d queries were found", len(asked))
	}
	for where, query := range asked {
		for _, line := range unknown(query, exported) {
			t.Errorf("%s: %s", where, line)
		}
	}
}

// The check of queries notices what it is for.
func TestQueriesForWhatIsNotExportedAreNoticed(t *testing.T) {
	t.Parallel()
	exported := exported(`kefud_calls_total{app="shop",outcome="ok"} 1
kefud_seconds_bucket{app="shop",le="1"} 1
kefud_depth 3
`)
	for query, want := range map[string]string{
		`sum by (app) (rate(kefud_calls_total{outcome!="ok"}[5m]))`:                  "",
		`histogram_quantile(0.9, sum by (le, app) (rate(kefud_seconds_bucket[5m])))`: "",
		`max(kefud_depth{job="kefud"}) {{instance}}`:                                 "",
		`label_values(kefud_calls_total, app)`:                                       "",
		`sum(kefud_call_total)`:                                                      "no metric kefud_call_total",
		`sum(kefud_calls_total{result="ok"})`:                                        "kefud_calls_total has no label result",
		`sum by (op) (kefud_calls_total)`:                                            "kefud_calls_total has no label op",
		`kefud_depth {{ $labels.app }}`:                                              "kefud_depth has no label app",
		`kefud_calls_total {{op}}`:                                                   "kefud_calls_total has no label op",
		`rate(kefud_seconds_count[5m])`:                                              "no metric kefud_seconds_count",
		`vector(1)`:                                                                  "asks for no metric",
	} {
		if got := strings.Join(unknown(query, exported), "; "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// Who is woken finds what to do, in both languages.
func TestEveryAlertHasItsRunbook(t *testing.T) {
	t.Parallel()
	alerts := alertQueries(t)
	for _, name := range []string{"docs/operations.md", "docs/operations.zh-CN.md"} {
		text, err := os.ReadFile("../../" + name)
		must(t, err)
		for alert := range alerts {
			if !strings.Contains(string(text), "\n### "+alert+"\n") {
				t.Errorf("%s has no heading ### %s", name, alert)
			}
		}
		for _, heading := range regexp.MustCompile(`(?m)^### (Kefud\w+)$`).FindAllStringSubmatch(string(text), -1) {
			if alerts[heading[1]] == "" {
				t.Errorf("%s explains %s, which is no alert", name, heading[1])
			}
		}
	}
	rules, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	must(t, err)
	for alert := range alerts {
		if link := "runbook_url: docs/operations.md#" + strings.ToLower(alert) + "\n"; !strings.Contains(string(rules), link) {
			t.Errorf("%s has no %s", alert, link)
		}
	}
	cases, err := os.ReadFile("../../deploy/prometheus/alerts_test.yaml")
	must(t, err)
	for alert := range alerts {
		if !strings.Contains(string(cases), "alertname: "+alert+",") || !strings.Contains(string(cases), `alertname="`+alert+`", severity=`) {
			t.Errorf("deploy/prometheus/alerts_test.yaml does not let %s be silent and fire", alert)
		}
	}
}

// pageOfDesk is /metrics of a server whose agents sit at WeChat's desk, before
// and after Redis was lost.
func pageOfDesk(t *testing.T) string {
	redis := redistest.Start(t)
	f := launchFleet(t, 1, rigOptions{config: smallConfig, redis: redis})
	c := f.somebody("shop")
	f.tap(c, "cs1")
	f.hears(c, "greeting wang of presale")
	redis.Kill()
	f.tap(f.somebody("shop"), "cs1")
	_, page := get(t, f.url+"/metrics", nil)
	return page
}

// pageOfRelay is /metrics of a server whose agents chat with a switchboard.
func pageOfRelay(t *testing.T) string {
	r := relaying(t, nil, nil)
	r.bound("wang")
	_, page := get(t, r.url+"/metrics", nil)
	return page
}

// exported gives the labels of every metric of a page.
func exported(page string) map[string][]string {
	labels := make(map[string][]string)
	series := regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? \S+$`)
	label := regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)
	for _, s := range series.FindAllStringSubmatch(page, -1) {
		of := labels[s[1]]
		for _, l := range label.FindAllStringSubmatch(s[2], -1) {
			of = append(of, l[1])
		}
		slices.Sort(of)
		labels[s[1]] = slices.Compact(of)
	}
	return labels
}

var (
	askedMetric = regexp.MustCompile(`\b((?:kefud|process|go)_[a-z_]+|up)\b(?:\{([^}]*)\})?`)
	askedLabel  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping    = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	legend      = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
	values      = regexp.MustCompile(`label_values\([^,]+,\s*([a-z_]+)\)`)
)

// unknown lists what a query and the texts beside it name that is not exported.
// Prometheus adds job and instance to everything, and makes up by itself.
func unknown(query string, exported map[string][]string) []string {
	var found []string
	var everywhere []string // labels that all metrics of the query are to have
	for _, g := range slices.Concat(grouping.FindAllStringSubmatch(query, -1), legend.FindAllStringSubmatch(query, -1), values.FindAllStringSubmatch(query, -1)) {
		for name := range strings.SplitSeq(g[1], ",") {
			everywhere = append(everywhere, strings.TrimSpace(name))
		}
	}
	metrics := askedMetric.FindAllStringSubmatch(query, -1)
	if len(metrics) == 0 {
		return []string{"asks for no metric"}
	}
	for _, m := range metrics {
		has, ok := exported[m[1]]
		if !ok && m[1] != "up" {
			found = append(found, "no metric "+m[1])
			continue
		}
		wants := slices.Clone(everywhere)
		for _, l := range askedLabel.FindAllStringSubmatch(m[2], -1) {
			wants = append(wants, l[1])
		}
		for _, l := range wants {
			if !slices.Contains(has, l) && l != "job" && l != "instance" {
				found = append(found, m[1]+" has no label "+l)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// alertQueries gives each alert's query and its summary, whose labels it must have.
func alertQueries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	must(t, err)
	rules := strings.Split(string(text), "\n      - alert: ")[1:]
	queries := make(map[string]string, len(rules))
	for _, rule := range rules {
		name, body, _ := strings.Cut(rule, "\n")
		_, query, found := strings.Cut(body, "expr: ")
		if !found || queries[name] != "" {
			t.Fatalf("alert %q has no query, or there are two of that name", name)
		}
		queries[name] = query
	}
	if strings.Count(string(text), "alert:") != len(queries) {
		t.Fatalf("%d alerts were found of %d", len(queries), strings.Count(string(text), "alert:"))
	}
	return queries
}

// dashboardQueries gives every query of the dashboard with its legend.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/kefud.json")
	must(t, err)
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	must(t, json.Unmarshal(text, &board))
	queries := make(map[string]string)
	for _, p := range board.Panels {
		for i, target := range p.Targets {
			queries[fmt.Sprintf("%s, query %d", p.Title, i)] = target.Expr + " " + target.LegendFormat
		}
	}
	for _, v := range board.Templating.List {
		if v.Type == "query" {
			queries["variable "+v.Name] = v.Definition
		}
	}
	return queries
}
