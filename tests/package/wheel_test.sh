#!/usr/bin/env bash
# wheel_test.sh SOURCE_FOLDER BUILD_FOLDER: the wheel is made, holds what it should, and works where pip installs it: beside
# LibTorch, over a LibTorch elsewhere in the environment, and without one, where it says so.
#
# Situations that users of others met: torch of a module or of the system under an environment of one's own
# (pytorch/pytorch#92132), a container's user without a home that can be written (NVlabs/stylegan3#130), and torchrun -m.
# Exit code 77: PyPI, where the tools come from that make wheels, cannot be reached.
set -euo pipefail
cd "$1"
export BUILD=$2 OMP_NUM_THREADS=1

fail() {
  echo "wheel_test: $*" >&2
  exit 1
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
scripts/package wheel "$folder/out" >"$folder/said" 2>&1 || {
  cat "$folder/said"
  grep -q "cannot be had from PyPI" "$folder/said" && exit 77
  fail "no wheel was made"
}
wheel=$(find "$folder/out" -name 'gigacat-*-py3-none-manylinux_2_*.whl')
[ -n "$wheel" ] || fail "no wheel of that name in $(ls "$folder/out")"
python3 -m zipfile -l "$wheel" >"$folder/list"
for path in gigacat/bin/gigacat gigacat/__init__.py gigacat/lib/libgigacat.so gigacat/share/gigacat/configs/quickstart/emoji-cat.yaml \
  gigacat/share/gigacat/emoji/NotoColorEmoji.ttf gigacat/share/gigacat/emoji/LICENSE.fonts-noto-color-emoji \
  dist-info/licenses/LICENSE gigacat.libs/libyaml-cpp gigacat.libs/libharfbuzz gigacat.libs/libwebp; do
  grep -q "$path" "$folder/list" || fail "$path is not in the wheel"
done
for path in libtorch libc10 libgomp libcudart; do
  if grep -q "gigacat.*/$path[^ ]*\.so" "$folder/list"; then fail "$path is in the wheel; it is LibTorch's"; fi
done
unzip_text() { python3 -c 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.read(next(n for n in z.namelist() if n.endswith(sys.argv[2]))).decode())' "$wheel" "$1"; }
# has PATTERN COMMAND ...: all of what it prints is read, so that the command is not ended by a pipe that closes.
has() {
  local pattern=$1
  shift
  "$@" >"$folder/said" && grep -q "$pattern" "$folder/said"
}
has '^Requires-Dist: torch==2\.' unzip_text METADATA || fail "the wheel does not ask for torch"

python3 -m venv --without-pip "$folder/venv"
site=$(echo "$folder"/venv/lib/python3*/site-packages)
"build/package-tools/bin/python" -m pip --quiet --disable-pip-version-check --python "$folder/venv/bin/python" install --no-deps "$wheel"
gigacat=$folder/venv/bin/gigacat
mkdir "$folder/here"
cd "$folder/here"

if "$gigacat" version >"$folder/said" 2>&1; then fail "it runs without LibTorch"; fi
grep -q "pip install torch==2" "$folder/said" || fail "without LibTorch it does not say what to install: $(cat "$folder/said")"

torch=$(sed -n 's/^LibTorch_ROOT_DIR:PATH=//p' "$BUILD/CMakeCache.txt")
mkdir "$folder/elsewhere" # as in PYTHONPATH of a module, or under an environment over the system's packages
ln -s "$torch" "$folder/elsewhere/torch"
has '^gigacat ' env PYTHONPATH="$folder/elsewhere" "$gigacat" version || fail "LibTorch elsewhere in the environment is not found"

ln -s "$torch" "$site/torch"
[ ! -d "$torch/../nvidia" ] || ln -s "$torch/../nvidia" "$site/nvidia"
has '^gigacat ' "$gigacat" version || fail "it does not run beside LibTorch"
has '^gigacat ' "$folder/venv/bin/python" -m gigacat version || fail "python -m gigacat, as torchrun -m starts it, does not run"
has 'photos-64.yaml ' "$gigacat" config list || fail "config list does not show the presets"
has "$site/gigacat/share/gigacat/emoji" "$gigacat" doctor || fail "doctor does not show the wheel's own font"

export HOME=/proc/nowhere # of a user with a number and no name
"$gigacat" data emoji data/emoji size=32 >/dev/null || fail "data emoji fails"
"$gigacat" train quickstart/emoji-cat.yaml train.steps=2 train.batch=2 train.device=cpu log.samples_every=0 >/dev/null 2>&1 ||
  fail "train quickstart/emoji-cat.yaml fails"
"$gigacat" sample runs/00000-emoji-cat -o samples.png >/dev/null || fail "sample fails"
[ "$(head -c 8 samples.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || fail "samples.png is no PNG"
echo "wheel_test: $(du -h "$wheel" | cut -f1), $(wc -l <"$folder/list") files"
