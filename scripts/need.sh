#!/bin/sh
# need.sh PROGRAM...: installs the programs that are missing, from Debian's
# packages; where that cannot be done, says what to do and fails.
set -eu

package() {
	case $1 in
	redis-server) echo redis-server ;;
	nginx) echo nginx-light ;;
	caddy) echo caddy ;;
	promtool) echo prometheus ;;
	cc | gcc | clang) echo gcc libc6-dev ;;
	*) echo "need.sh: no package known for $1" >&2 && return 1 ;;
	esac
}

missing=
packages=
for program in "$@"; do
	if path=$(command -v "$program"); then
		echo "found $path"
	else
		missing="$missing $program"
		wanted=$(package "$program")
		packages="$packages $wanted"
	fi
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "missing:$missing. Install them with this system's package manager (macOS: brew install redis; xcode-select --install), then run this again." >&2
	exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "missing:$missing. As root: apt-get install$packages, then run this again." >&2
		exit 1
	fi
	as_root=sudo
fi

echo "installing$packages"
$as_root apt-get update -qq || echo "some package lists could not be had; going on with those there are" >&2
# $packages is a list of words, so it stands without quotes.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null
for program in $missing; do
	command -v "$program" >/dev/null || { echo "$program is still missing after apt-get install$packages" >&2 && exit 1; }
done
