#!/usr/bin/env bash
# quickstart_test.sh SOURCE_FOLDER GIGACAT: the quickstart, small, gives a run, a checkpoint and pictures.
set -euo pipefail
cd "$1"
export GIGACAT=$2

fail() {
  echo "quickstart_test: $*" >&2
  exit 1
}
is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export EMOJI=$folder/emoji
for run in 00000-emoji-cat 00001-emoji-cat; do # the second takes the data set that is there and a run folder of its own
  scripts/quickstart "out=$folder/runs" train.steps=2 train.batch=4 log.samples_every=2 checkpoint.every=2 \
    >"$folder/output.txt" 2>&1 || { cat "$folder/output.txt"; fail "it failed"; }
  grep -q "drawn by the trained generator: $folder/runs/$run/samples.png" "$folder/output.txt" || { cat "$folder/output.txt"; fail "the last lines do not name $run"; }
  is_png "$folder/runs/$run/samples.png" || fail "samples.png of $run is no PNG"
  grep -q "</html>" "$folder/runs/$run/report.html" || fail "report.html of $run is no whole page"
  [ -n "$(ls "$folder/runs/$run/checkpoints")" ] || fail "$run has no checkpoint"
done
grep -q "already there" "$folder/output.txt" || fail "the data set was made twice"
