package config

import (
	"math"
	"strings"
	"time"
)

// A mistake is what is wrong with one value, and what would be right.
type mistake struct{ wrong, right string }

const durationForm = "write one such as 30s, 10m, 1d12h or 30d"

// parseDuration reads Go's units and, before them, d for days of 24 hours. Only
// zero may stand without a unit.
func parseDuration(text string) (time.Duration, *mistake) {
	if text == "" {
		return 0, &mistake{"has no value", durationForm}
	}
	if strings.HasPrefix(text, "-") {
		return 0, &mistake{"is negative", "write 0 or more"}
	}
	if bare(text) {
		if strings.Trim(text, "0") == "" {
			return 0, nil
		}
		return 0, &mistake{"is a number without a unit", durationForm}
	}
	days, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		days, rest = "0", text
	}
	if rest == "" {
		rest = "0"
	}
	hours, err := time.ParseDuration(days + "h")
	more, errMore := time.ParseDuration(rest)
	if !bare(days) || err != nil || errMore != nil || more < 0 {
		return 0, &mistake{"is no duration", durationForm}
	}
	if hours > (math.MaxInt64-more)/24 {
		return 0, &mistake{"is too long", "write less than 100000d"}
	}
	return hours*24 + more, nil
}

// bare reports whether the text is a number and nothing else.
func bare(text string) bool {
	const digits = "0123456789"
	return strings.ContainsAny(text, digits) && strings.Trim(text, digits+".") == ""
}
