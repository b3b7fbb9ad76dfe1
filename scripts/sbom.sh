#!/bin/sh
# sbom.sh CYCLONEDX PREFIX: writes what kefud is built of on each system, with
# licences, to PREFIX<system>_<processor>.cdx.json (CycloneDX), and fails if a
# module of the build is not in it.
set -eu

systems=$(sed -n "s/^systems='\(.*\)'/\1/p" "$(dirname "$0")/release.sh")
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
GOBIN=$tool go install "$1" # not by go run, which would build it for the other system
export CGO_ENABLED=0

for system in $systems; do
	export GOOS="${system%/*}" GOARCH="${system#*/}"
	file=$2${GOOS}_$GOARCH.cdx.json
	"$tool/cyclonedx-gomod" app -json -licenses -std -noserial -notimestamp -main cmd/kefud -output "$file" . 2>"$tool/log" ||
		{ cat "$tool/log" >&2 && exit 1; }
	grep -q '"bomFormat": "CycloneDX"' "$file"
	grep -q '"specVersion": "1\.[0-9]*"' "$file"
	modules=$(go list -deps -f '{{with .Module}}{{if not .Main}}pkg:golang/{{.Path}}@{{.Version}}{{end}}{{end}}' ./cmd/kefud | sort -u)
	for module in $modules; do
		grep -qF "\"purl\": \"$module?" "$file" || { echo "$file lacks $module" >&2 && exit 1; }
	done
	echo "$file: $(echo "$modules" | wc -l | tr -d ' ') modules"
done
