#!/usr/bin/env bash
# install_test.sh CMAKE BUILD_FOLDER CONSUMER_SOURCE CXX
set -euo pipefail
cmake=$1 build=$2 consumer=$3 cxx=$4

fail() {
  echo "install_test: $*" >&2
  exit 1
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$cmake" --install "$build" --prefix "$folder/first" >/dev/null
mv "$folder/first" "$folder/moved prefix"
prefix="$folder/moved prefix"

grep -rIl --include='*.cmake' "$folder/first" "$prefix" && fail "these files name the place that it was installed to"
for path in bin/gigacat lib/libgigacat.so include/gigacat/core/error.h share/gigacat/LICENSE; do
  [ -e "$prefix/$path" ] || fail "$path is not installed"
done
"$prefix/bin/gigacat" version || fail "the installed gigacat does not run"

# The compiler's cache stays out, so that this compiles what is installed now.
"$cmake" -S "$consumer" -B "$folder/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Release >/dev/null
"$cmake" --build "$folder/build" || fail "the project does not build on the installed prefix"
"$folder/build/consumer" || fail "the project built on the installed prefix does not run"
