#!/usr/bin/env bash
# bare_root.sh WHEEL: installs the wheel as its reader would, where only python3-venv is installed, and trains with it.
#
#   scripts/fresh bookworm --bare tests/package/bare_root.sh build/package/gigacat-*.whl
#
# Downloads torch (0.6 GB); prints how long each step took.
set -euo pipefail
wheel=$(readlink -f "$1")
timed() { # NAME COMMAND ...
  local name=$1 began=$SECONDS
  shift
  "$@" >/tmp/said 2>&1 || { cat /tmp/said; echo "bare_root: $name failed" >&2; exit 1; }
  echo "bare_root: $name: $((SECONDS - began)) s"
}
timed "apt-get install python3-venv" sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-venv'
mkdir /tmp/here && cd /tmp/here
timed "python3 -m venv" python3 -m venv gan
timed "pip install" gan/bin/pip install --no-deps "$wheel" torch==2.11.0 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
timed doctor gan/bin/gigacat doctor
cat /tmp/said
timed "config list" gan/bin/gigacat config list
timed "data emoji" gan/bin/gigacat data emoji data/emoji size=32
timed "train, ${STEPS:-20} steps" gan/bin/gigacat train quickstart/emoji-cat.yaml "train.steps=${STEPS:-20}" log.samples_every=0
timed sample gan/bin/gigacat sample runs/00000-emoji-cat -o samples.png
[ "$(head -c 8 samples.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]
echo "bare_root: passed on $(. /etc/os-release && echo "$PRETTY_NAME")"
