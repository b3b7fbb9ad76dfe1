#!/bin/sh
# fuzz.sh: runs every fuzz target of every package for $FUZZTIME, one after the
# other. Targets are found, not listed. A finding is written to the package's
# testdata/fuzz, fails this script, and is a test case from then on.
set -eu

# `go test -list` gives a package's targets and then its "ok" line.
found=$(go test -list '^Fuzz' ./...) || { echo "$found" >&2 && exit 1; }
targets=$(echo "$found" | awk '
	/^Fuzz/ { names[++n] = $1 }
	/^ok/   { for (i = 1; i <= n; i++) print $2 ":" names[i]; n = 0 }')
[ -n "$targets" ] || { echo "no fuzz target found" >&2 && exit 1; }

# Up to Go 1.26 a target can end with "context deadline exceeded" when its time
# is up, without a finding: https://go.dev/issue/75804, fixed in Go 1.27.
only_ran_out_of_time() {
	echo "$1" | grep -q '^ *context deadline exceeded$' &&
		! echo "$1" | grep -Eq 'Failing input written|panic|seed corpus'
}

# Without a limit, up to a minute goes into making each input that is merely new
# as short as can be, most of the time of a short run.
for target in $targets; do
	printf '%-40s ' "${target#*/}"
	if out=$(go test -run '^$' -fuzz "^${target##*:}\$" -fuzztime "${FUZZTIME:-30s}" -fuzzminimizetime 100x "${target%:*}" 2>&1) ||
		only_ran_out_of_time "$out"; then
		runs=$(echo "$out" | sed -n 's/^fuzz: elapsed: [^,]*, execs: \([0-9]*\).*/\1/p' | tail -n 1)
		echo "${runs:-0} new inputs, no finding"
	else
		echo FAIL
		echo "$out" >&2
		exit 1
	fi
done
