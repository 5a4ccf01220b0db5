#!/usr/bin/env bash
# Faults done to small runs on purpose: after each, nothing saved is lost, the reason is one line, and the run goes on to the bit.
#
#   scripts/chaos.sh [--short] [--kills N] [FAULT ...]      all faults, or those named; a Markdown table on standard output
#
# GIGACAT names the program (build/release/bin/gigacat). Faults that need root, network namespaces or faketime say so and are left
# out where these are missing. Exit code 1 when a run did not survive.
set -euo pipefail
cd "$(dirname "$0")/.."

gigacat=$(realpath "${GIGACAT:-build/release/bin/gigacat}")
kills=50 steps=60 faults=()
while [ $# -gt 0 ]; do
  case $1 in
    --short) kills=4 ;;
    --kills) kills=$2; shift ;;
    -*) echo "chaos: error: unknown flag $1" >&2; exit 2 ;;
    *) faults+=("$1") ;;
  esac
  shift
done

work=$(mktemp -d)
mounted=()
clean_up() {
  jobs -p | xargs -r kill -KILL 2>/dev/null || true
  wait 2>/dev/null || true
  for folder in "${mounted[@]}"; do umount -l "$folder" 2>/dev/null || true; done
  ip netns list 2>/dev/null | grep -o "^gigacat-$$-[ab]" | xargs -r -n 1 ip netns delete || true
  rm -rf "$work"
}
trap clean_up EXIT
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

# --- the run that is disturbed -------------------------------------------------------------------------------------

cat >"$work/run.yaml" <<YAML
recipe: cat
name: chaos
data: {kind: emoji, path: $work/emoji, resolution: 32, workers: 1}
model:
  generator: {depth: 4, hidden: 32, heads: 2, patch: 4, z_dim: 16}
  discriminator: {depth: 2, hidden: 32, heads: 2, patch: 4, cmap_dim: 32, projector_dim: 32}
train: {steps: $steps, batch: 8, device: cpu, timeout: 20}
log: {every: 5, samples_every: 0, sample_count: 4, plain_every: 5}
checkpoint: {every: 5, keep_last: 4}
YAML
"$gigacat" data emoji "$work/emoji" size=32 >"$work/emoji.log" 2>&1

checkpoints() { find "$work/$1/00000-chaos/checkpoints" -mindepth 2 -name COMMIT 2>/dev/null; }
checkpoint() { printf '%s/%s/00000-chaos/checkpoints/step-%07d' "$work" "$1" "$2"; }
# The tensors of a run at a step, as one hash.
weights() { cat "$(checkpoint "$1" "${2:-$steps}")"/*.safetensors | sha256sum; }
train() { local out=$1; shift; "$gigacat" train "$work/run.yaml" out="$work/$out" "$@" >>"$work/$out.log" 2>&1; }
resume() { local out=$1; shift; "$gigacat" train --resume "$work/$out/00000-chaos" "$@" >>"$work/$out.log" 2>&1; }
# In the background, its process in $run.
start() { local out=$1; shift; : >"$work/$out.log"; "$gigacat" train "$work/run.yaml" out="$work/$out" "$@" >>"$work/$out.log" 2>&1 & run=$!; }
await() { # until a command succeeds or the run has ended
  while ! "$@" >/dev/null 2>&1; do kill -0 "$run" 2>/dev/null || return 1; sleep 0.02; done
}
has_step() { [ -f "$(checkpoint "$1" "$2")/COMMIT" ]; }
ended() { code=0; wait "$run" || code=$?; }
# The line that tells why: the last of its log with error in it, without the folder's name.
reason() { grep -h 'error:' "$work/$1.log" | tail -1 | sed "s|$work/||g; s|^\[[0-9]*\] ||" | cut -c 1-160; }
fails() { echo "$*" >"$work/verdict"; return 1; }
skips() { echo "left out: $*" >"$work/skipped"; return 1; }
same_weights() { [ "$(weights "$1")" = "$(weights "$2")" ] || fails "the final weights differ from an undisturbed run's"; }
said() { [ -n "$(reason "$1")" ] || fails "no reason was said"; }
children() { cat "/proc/$run/task/$run/children" 2>/dev/null; }

# --- the faults: each prints what was seen --------------------------------------------------------------------------

fault_kill_ranks() { # random ranks at random moments, restarted by the launcher
  local many=$((steps + 25 * kills)) done_kills=0
  train undisturbed-2 --ranks 2 train.steps=$many
  start killed --ranks 2 --max-restarts $((kills + 5)) train.steps=$many
  while kill -0 "$run" 2>/dev/null && [ $done_kills -lt "$kills" ]; do
    sleep "$(awk -v r=$RANDOM 'BEGIN { print 0.4 + 1.6 * r / 32767 }')"
    local ranks; read -ra ranks <<<"$(children)" || true
    [ ${#ranks[@]} -eq 2 ] || continue
    kill -KILL "${ranks[RANDOM % 2]}" 2>/dev/null && done_kills=$((done_kills + 1))
  done
  ended
  [ $code -eq 0 ] || fails "exit code $code" || return 1
  [ $done_kills -eq "$kills" ] || fails "only $done_kills of $kills kills before the run was done" || return 1
  [ "$(weights killed $many)" = "$(weights undisturbed-2 $many)" ] || fails "the weights differ after $done_kills kills" || return 1
  echo "$done_kills of $done_kills kills survived on 2 ranks, weights after $many steps equal to the bit"
}

fault_kill_while_writing() { # SIGKILL from the moment that the temporary folder is there to after the rename
  local pattern path seen new
  for pattern in '.tmp-step-*' '.tmp-step-*' '.tmp-step-*' 'step-0000050'; do
    seen=" $(compgen -G "$work/writing/00000-chaos/checkpoints/$pattern" | tr '\n' ' ')" # what an earlier kill left
    if [ ! -d "$work/writing" ]; then start writing; else "$gigacat" train --resume "$work/writing/00000-chaos" >>"$work/writing.log" 2>&1 & run=$!; fi
    # The temporary folder is there for some milliseconds: a loop that starts no program does not miss it.
    new=
    until [ -n "$new" ]; do
      for path in "$work/writing/00000-chaos/checkpoints/"$pattern; do
        [ -d "$path" ] && [[ "$seen" != *" $path "* ]] && new=$path
      done
      kill -0 "$run" 2>/dev/null || { fails "the run ended before $pattern"; return 1; }
    done
    sleep "$(awk -v r=$RANDOM 'BEGIN { print 0.03 * r / 32767 }')"
    kill -KILL "$run"; ended
  done
  resume writing
  same_weights writing undisturbed || return 1
  echo "killed three times in the temporary folder and once after the rename; weights equal to the bit"
}

fault_sigterm() {
  start term; await has_step term 10; kill -TERM "$run"; ended
  [ $code -eq 143 ] || fails "exit code $code, not 143" || return 1
  resume term; same_weights term undisturbed || return 1
  echo "checkpoint written, exit code 143; $(grep -h 'stopped on request' "$work/term.log" | sed "s|$work/||; s/.*stopped/stopped/" | head -1)"
}

disk() { # NAME SIZE: a small disk at $work/NAME
  mkdir -p "$work/$1"
  mount -t tmpfs -o "size=$2" tmpfs "$work/$1" 2>/dev/null || { skips "mounting needs root"; return 1; }
  mounted+=("$work/$1")
}

fault_full_disk() {
  disk full 12m || return 1
  start full; await has_step full 10
  dd if=/dev/zero of="$work/full/filler" bs=1M >/dev/null 2>&1 || true
  ended
  [ $code -eq 1 ] && said full || fails "exit code $code" || return 1
  checkpoints full | grep -q . || fails "no checkpoint is left" || return 1
  local why; why=$(reason full)
  rm "$work/full/filler"; resume full; same_weights full undisturbed || return 1
  echo "\`$why\`; with room again the run went on, weights equal to the bit"
}

fault_read_only() {
  disk frozen 64m || return 1
  start frozen; await has_step frozen 10
  mount -o remount,ro "$work/frozen" 2>/dev/null || { kill -KILL "$run"; ended; mount -o remount,ro "$work/frozen"; }
  ended || true
  if [ $code -eq 137 ]; then # the kernel froze nothing while files were open: the resumed run meets it
    code=0; resume frozen || code=$?
  fi
  [ $code -ne 0 ] && said frozen || fails "exit code $code" || return 1
  local why; why=$(reason frozen)
  mount -o remount,rw "$work/frozen"; resume frozen; same_weights frozen undisturbed || return 1
  echo "\`$why\`; writable again the run went on, weights equal to the bit"
}

fault_lost_data() { # the shards vanish between two starts
  cp -r "$work/emoji" "$work/emoji-lost"
  start lost "data.path=$work/emoji-lost"; await has_step lost 10; kill -KILL "$run"; ended
  mkdir "$work/aside"; mv "$work"/emoji-lost/* "$work/aside/"
  code=0; resume lost || code=$?
  [ $code -ne 0 ] && said lost || fails "exit code $code without its data" || return 1
  local why; why=$(reason lost)
  mv "$work"/aside/* "$work/emoji-lost/"; resume lost; same_weights lost undisturbed || return 1
  echo "\`$why\`; with the files back the run went on, weights equal to the bit"
}

fault_corrupt_shard() { # bytes in the middle of a shard
  cp -r "$work/emoji" "$work/emoji-bad"
  local shard; shard=$(find "$work/emoji-bad" -name '*.tar' | sort | head -1)
  dd if=/dev/urandom of="$shard" bs=1k seek=40 count=8 conv=notrunc >/dev/null 2>&1
  code=0; train bad "data.path=$work/emoji-bad" data.max_bad_fraction=0.1 || code=$?
  if [ $code -eq 0 ]; then
    local line; line=$(grep -hi 'bad\|skipped\|damaged\|broken' "$work/bad.log" | head -1 | sed "s|$work/||g" | cut -c 1-140)
    [ -n "$line" ] || fails "nothing was said of the damaged samples" || return 1
    echo "samples skipped and counted: \`$line\`"
  else
    said bad || return 1
    echo "\`$(reason bad)\`"
  fi
}

fault_corrupt_checkpoint() {
  start rot; await has_step rot 15; kill -KILL "$run"; ended
  local newest; newest=$(checkpoints rot | sort | tail -1 | xargs dirname)
  printf 'x' | dd of="$newest/generator.safetensors" bs=1 seek=5000 conv=notrunc >/dev/null 2>&1
  resume rot; same_weights rot undisturbed || return 1
  echo "\`$(grep -h "$(basename "$newest").*checksum\|checksum.*$(basename "$newest")" "$work/rot.log" | head -1 | sed "s|$work/||g" | cut -c 1-150)\`; weights equal to the bit"
}

fault_clock_jump() {
  command -v faketime >/dev/null || { skips "needs faketime"; return 1; }
  start clock; await has_step clock 10; kill -KILL "$run"; ended
  faketime '2001-01-01 00:00:00' "$gigacat" train --resume "$work/clock/00000-chaos" train.steps=30 >>"$work/clock.log" 2>&1
  faketime '2037-01-01 00:00:00' "$gigacat" train --resume "$work/clock/00000-chaos" train.steps=$steps >>"$work/clock.log" 2>&1
  same_weights clock undisturbed || return 1
  echo "went on in 2001 and in 2037, weights equal to the bit"
}

fault_two_processes() {
  start twice train.steps=100000; await has_step twice 5
  code=0; "$gigacat" train --resume "$work/twice/00000-chaos" >"$work/second.log" 2>&1 || code=$?
  [ $code -eq 2 ] && said second || fails "the second got exit code $code" || return 1
  kill -KILL "$run"; ended
  resume twice train.steps=$steps || { fails "a dead owner still holds the lock"; return 1; }
  echo "the second is refused: \`$(reason second)\`; a dead owner holds no lock"
}

fault_hung_rank() {
  start hung --ranks 2 train.timeout=5 train.steps=100000; await has_step hung 10
  local ranks; read -ra ranks <<<"$(children)"
  local began=$SECONDS; kill -STOP "${ranks[1]}"
  ended
  [ $code -ne 0 ] && said hung || fails "exit code $code" || return 1
  checkpoints hung | grep -q . || fails "no checkpoint is left" || return 1
  echo "ended after $((SECONDS - began)) s: \`$(reason hung)\`"
}

fault_killed_peer() {
  start peer --ranks 2 train.steps=100000; await has_step peer 10
  local ranks; read -ra ranks <<<"$(children)"
  local began=$SECONDS; kill -KILL "${ranks[1]}"
  ended
  [ $code -ne 0 ] || fails "exit code 0" || return 1
  echo "ended after $((SECONDS - began)) s: \`$(grep -h 'rank . failed' "$work/peer.log" | head -1 | cut -c 1-140)\`"
}

fault_network_loss() { # two ranks in two network namespaces, the link goes down
  local a=gigacat-$$-a b=gigacat-$$-b
  ip netns add "$a" 2>/dev/null || { skips "network namespaces need root"; return 1; }
  ip netns add "$b"
  ip link add "ga$$" netns "$a" type veth peer name "gb$$" netns "$b" || { skips "no veth devices"; return 1; }
  ip -n "$a" addr add 10.231.7.1/24 dev "ga$$"; ip -n "$b" addr add 10.231.7.2/24 dev "gb$$"
  for ns in "$a" "$b"; do ip -n "$ns" link set lo up; done
  ip -n "$a" link set "ga$$" up; ip -n "$b" link set "gb$$" up
  : >"$work/net.log"
  rank_in() { # NAMESPACE RANK
    ip netns exec "$1" env RANK="$2" WORLD_SIZE=2 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 MASTER_ADDR=10.231.7.1 MASTER_PORT=29512 \
      "$gigacat" train "$work/run.yaml" out="$work/net" train.steps=100000 train.timeout=5 >>"$work/net.log" 2>&1
  }
  rank_in "$b" 1 & local other=$!
  rank_in "$a" 0 & run=$!
  await has_step net 10 || { fails "the run did not start: $(reason net)"; return 1; }
  local began=$SECONDS; ip -n "$a" link set "ga$$" down
  ended; local second=0; wait $other || second=$?
  [ $code -ne 0 ] && [ $second -ne 0 ] && said net || fails "exit codes $code and $second" || return 1
  resume net train.steps=$steps || { fails "the run did not go on"; return 1; }
  echo "both ended after $((SECONDS - began)) s: \`$(reason net)\`; one process went on with the run"
}

# --- the campaign ----------------------------------------------------------------------------------------------------

all=(kill_ranks kill_while_writing sigterm full_disk read_only lost_data corrupt_shard corrupt_checkpoint clock_jump two_processes
  hung_rank killed_peer network_loss)
[ ${#faults[@]} -gt 0 ] || faults=("${all[@]}")
train undisturbed
failed=0
echo "| fault | seen |"
echo "| --- | --- |"
for fault in "${faults[@]}"; do
  declare -F "fault_$fault" >/dev/null || { echo "chaos: error: no fault is called $fault; there are: ${all[*]}" >&2; exit 2; }
  rm -f "$work/verdict" "$work/skipped"
  if "fault_$fault" >"$work/seen"; then # not in a subshell: what it mounts and starts is cleaned up here
    echo "| ${fault//_/ } | $(cat "$work/seen") |"
  elif [ -f "$work/skipped" ]; then
    echo "| ${fault//_/ } | $(cat "$work/skipped") |"
  else
    failed=1
    echo "| ${fault//_/ } | FAILED: $(cat "$work/verdict" 2>/dev/null || echo "line of the script ended it") |"
    tail -n 5 "$work"/*.log >&2
  fi
done
exit $failed
