#!/usr/bin/env bash
# Every script parses, says what it is for, and can be run; scripts/bootstrap answers without touching anything.
set -euo pipefail
cd "$1"

fail() {
  echo "scripts_test: $*" >&2
  exit 1
}

checked=0
while IFS= read -r script; do
  case $(head -n 1 "$script") in
    *bash*) bash -n "$script" || fail "$script does not parse" ;;
    *python3*) python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$script" || fail "$script does not parse" ;;
    *) continue ;; # read by others, not run
  esac
  [ -x "$script" ] || fail "$script cannot be executed"
  checked=$((checked + 1))
done < <(find scripts .ci -type f -not -name '*.pyc' | sort)
[ "$checked" -ge 6 ] || fail "only $checked scripts found"

scripts/bootstrap --help | grep -q TORCH_ROOT || fail "bootstrap --help does not name TORCH_ROOT"
code=0
scripts/bootstrap --nonsense >/dev/null 2>&1 || code=$?
[ "$code" = 2 ] || fail "an unknown option gives $code, not 2"
scripts/bootstrap --print --cuda >/dev/null || fail "bootstrap --print --cuda fails"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
try_torch_root() { TORCH_ROOT=$folder/torch scripts/bootstrap --print 2>&1 || true; }
try_torch_root | grep -q "holds no lib/libtorch_cpu.so" || fail "an empty TORCH_ROOT is not refused"
mkdir -p "$folder/torch/lib" "$folder/torch/include/torch/headeronly"
touch "$folder/torch/lib/libtorch_cpu.so"
version() { printf '#define TORCH_VERSION_MAJOR %s\n#define TORCH_VERSION_MINOR %s\n' "$@" >"$folder/torch/include/torch/headeronly/version.h"; }
version 2 10
try_torch_root | grep -q "2.10; 2.11 or later is needed" || fail "LibTorch 2.10 is not refused"
version 2 11
try_torch_root | grep -q "LibTorch: 2.11 in" || fail "LibTorch 2.11 is not taken"
version 3 0
try_torch_root | grep -q "LibTorch: 3.0 in" || fail "LibTorch 3.0 is not taken"
# A user who is no administrator, with packages as dpkg-query (a stand-in) tells: nothing is asked, nothing is run as root.
mkdir "$folder/bin"
version 2 11
stand_in() { printf '#!/bin/sh\n%s\n' "$2" >"$folder/bin/$1" && chmod +x "$folder/bin/$1"; }
stand_in id 'echo 1000'
stand_in sudo "touch '$folder/asked'; exit 1"
stand_in apt-get "touch '$folder/asked'; exit 1"
# shellcheck disable=SC2016  # the stand-in expands it
stand_in dpkg-query 'for name; do :; done; case " $MISSING " in *" $name "*) exit 1 ;; esac; echo "install ok installed"'
as_user() { MISSING=$1 PATH="$folder/bin:$PATH" TORCH_ROOT=$folder/torch scripts/bootstrap </dev/null >"$folder/told" 2>&1; }
says() { grep -q -- "$1" "$folder/told"; }
as_user "" && says "system packages: all there" || fail "bootstrap does not go on where all packages are there"
[ ! -e "$folder/asked" ] || fail "bootstrap asked for root where all packages are there"
as_user "mold ccache" && says "going on without ccache mold" || fail "bootstrap stops where only optional packages are missing"
if as_user "g++ mold"; then fail "bootstrap goes on without a compiler"; fi
for word in "administrator: g++$" "apt-get install" TORCH_ROOT wheel; do
  says "$word" || fail "bootstrap without a compiler does not say: $word"
done
echo "scripts_test: $checked scripts are well"
