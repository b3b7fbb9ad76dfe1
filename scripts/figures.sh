#!/bin/sh
# figures.sh FILE DATE: writes figures, a line "id<tab>figure" each, into the last
# cell of their rows in docs/reliability.md, with the date; other rows stay.
set -eu

[ -s "$1" ] || exit 0 # nothing was measured

document=$(dirname "$0")/../docs/reliability.md
written=$(awk -F '\t' -v date="$2" '
	FNR == NR { figure[$1] = $2; next }
	/^\| `/ {
		split($0, cells, " *[|] *")
		id = cells[2]
		gsub("`", "", id)
		if (id in figure) {
			sub(/ *\|[^|]*\|$/, "")
			print $0 " | " figure[id] " (" date ") |"
			next
		}
	}
	{ print }' "$1" "$document")
printf '%s\n' "$written" >"$document"
