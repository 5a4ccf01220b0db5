#!/usr/bin/env bash
# package_test.sh SOURCE_FOLDER BUILD_FOLDER: a package is made, holds what it should, and runs where it is unpacked, with its
# own LibTorch.
set -euo pipefail
cd "$1"
export BUILD=$2 LEVEL=1

fail() {
  echo "package_test: $*" >&2
  exit 1
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
scripts/package deb "$folder/out"
deb=$(find "$folder/out" -name 'gigacat_*.deb')
[ -n "$deb" ] || fail "no package was made"

dpkg-deb -c "$deb" | awk '{ print $6 }' >"$folder/list"
for path in opt/gigacat/bin/gigacat opt/gigacat/lib/libtorch_cpu.so opt/gigacat/share/gigacat/configs/quickstart/emoji-cat.yaml \
  usr/bin/gigacat usr/share/bash-completion/completions/gigacat usr/share/zsh/vendor-completions/_gigacat \
  usr/share/fish/vendor_completions.d/gigacat.fish usr/share/man/man1/gigacat.1.gz usr/share/doc/gigacat/copyright; do
  grep -qx "./$path" "$folder/list" || fail "$path is not in the package"
done
dpkg-deb -f "$deb" Depends | grep -q libc6 || fail "the package does not depend on libc6"

dpkg-deb -x "$deb" "$folder/root"
program=$folder/root/usr/bin/gigacat
"$program" version | grep -q '^gigacat ' || fail "the unpacked program does not run"
for library in libtorch_cpu libc10 libgomp; do
  ldd "$(realpath "$program")" | grep "$library" | grep -q "$folder/root" || fail "$library is not the package's own"
done
for file in "$(realpath "$program")" "$folder"/root/opt/gigacat/lib/libgigacat.so; do
  strings -a "$file" >"$folder/strings"
  ! grep -m 1 -F "$PWD/" "$folder/strings" || fail "$(basename "$file") names the folder that it was built in"
done
echo "package_test: $(wc -l <"$folder/list") files in the package"
