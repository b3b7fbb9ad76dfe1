#!/bin/sh
# release.sh VERSION COMMIT FOLDER: builds kefud for every system, and packs each
# with its licences and its configuration. The same source gives the same archives.
set -eu

version=$1 commit=$2 out=$3
systems='linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64'

tar --version 2>/dev/null | grep -q GNU || { echo "release.sh needs GNU tar" >&2 && exit 1; }
# Files are as old as the last commit, so that they are as old everywhere.
time=$(git log -1 --format=@%ct 2>/dev/null || echo @0)

rm -rf "$out"
mkdir -p "$out/tree"
go run ./internal/licences -texts >"$out/tree/NOTICES"
cp LICENSE README.md README.zh-CN.md CHANGELOG.md config.yaml "$out/tree/"
for system in $systems; do
	name=kefud_${version}_${system%/*}_${system#*/}
	program=kefud
	[ "${system%/*}" != windows ] || program=kefud.exe
	echo "$name"
	mkdir -p "$out/$name"
	cp "$out/tree/"* "$out/$name/"
	GOOS=${system%/*} GOARCH=${system#*/} ${MAKE:-make} --no-print-directory -s build BIN="$out/$name/$program" VERSION="$version" COMMIT="$commit" >/dev/null
	chmod 644 "$out/$name/"* && chmod 755 "$out/$name/$program"
	tar --sort=name --mtime="$time" --owner=0 --group=0 --numeric-owner -C "$out" -cf - "$name" | gzip -n -9 >"$out/$name.tar.gz"
	rm -r "${out:?}/$name"
done
rm -r "$out/tree"
