#!/bin/sh
# format.sh GOFUMPT: fails if a Go file of the repository, new ones included, is
# not in gofumpt's format, and names it.
set -eu

unformatted=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 go run "$1" -l)
if [ -n "$unformatted" ]; then
	echo "not formatted; make fmt does it:" >&2
	echo "$unformatted" >&2
	exit 1
fi
