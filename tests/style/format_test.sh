#!/usr/bin/env bash
# Every source is as clang-format 14 lays it out, the version whose layout .clang-format was written for. CI has it
# (scripts/bootstrap); elsewhere the test is skipped where it is not installed.
set -euo pipefail
cd "$1"

for format in "${CLANG_FORMAT:-.deps/libtorch/clang_format/data/bin/clang-format}" clang-format-14 clang-format; do
  "$format" --version 2>/dev/null | grep -q 'version 14\.' || continue
  find src include tools tests \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
    xargs -0 "$format" --dry-run -Werror
  exit 0
done
case ${CI:-} in '' | 0 | false) exit 77 ;; esac # what ctest takes for skipped
echo "format_test: no clang-format 14: run scripts/bootstrap" >&2
exit 1
