#!/bin/sh
# reproducible.sh: builds kefud twice, here and from a copy in another folder with
# a cache of its own, and fails unless both are the same, byte for byte.
set -eu

other=$(mktemp -d)
trap 'rm -rf "$other"' EXIT
mkdir "$other/tree"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf - | tar -xf - -C "$other/tree"

build() { # FOLDER FILE
	(cd "$1" && ${MAKE:-make} --no-print-directory -s build BIN="$2" VERSION=v0 COMMIT=0 >/dev/null)
}
build . "$other/here"
GOCACHE="$other/cache" build "$other/tree" "$other/there"
cmp "$other/here" "$other/there"
sha256sum "$other/here" 2>/dev/null | cut -d ' ' -f 1 || shasum -a 256 "$other/here" | cut -d ' ' -f 1
