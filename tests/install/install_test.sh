#!/usr/bin/env bash
# install_test.sh CMAKE BUILD_FOLDER CONSUMER_SOURCE CXX EXAMPLES
set -euo pipefail
cmake=$1 build=$2 consumer=$3 cxx=$4 examples=$5

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
build_on() { # NAME SOURCE
  "$cmake" -G Ninja -S "$2" -B "$folder/$1" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Release >/dev/null
  "$cmake" --build "$folder/$1" || fail "$1 does not build on the installed prefix"
}
build_on consumer "$consumer"
"$folder/consumer/consumer" || fail "the project built on the installed prefix does not run"

build_on examples "$examples"
"$folder/examples/own_module" || fail "examples/own_module does not train a module of its own on two ranks"

export OMP_NUM_THREADS=1
run=(train "$prefix/share/gigacat/configs/quickstart/emoji-cat.yaml" "data.path=$folder/emoji" "out=$folder/runs" train.steps=1
  train.batch=2 train.device=cpu log.samples_every=0)
"$prefix/bin/gigacat" data emoji "$folder/emoji" size=32 >/dev/null
"$prefix/bin/gigacat" "${run[@]}" >/dev/null 2>&1 || fail "the installed gigacat does not train"
"$prefix/bin/gigacat" export "$folder/runs/00000-emoji-cat" -o "$folder/generator.safetensors"
"$folder/examples/draw" "$folder/generator.safetensors" "$folder/grid.png" || fail "examples/draw does not draw"
[ "$(head -c 8 "$folder/grid.png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || fail "examples/draw wrote no PNG"
