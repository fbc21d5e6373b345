#!/usr/bin/env bash
# Makes results/check: how often `swarmloco check` alarms where nothing has changed but the seeds, and how often it finds
# a change that moves the final loss by 2 %; on the quadratic, 200 times each, five seeds a side; some minutes.
#
# Each trial has fifteen runs: a baseline, the unchanged program with five other seeds, and a changed one (a smaller
# outer learning rate) with these same other seeds. Three checks: unchanged against baseline (independent), changed
# against baseline (independent), changed against unchanged (paired).
set -euo pipefail
cd "$(dirname "$0")/.."

trials=${1:-200}
scenario=scenarios/quadratic.yaml
changed="protocol.outer_optimizer.sgd.learning_rate=0.7835"
out=results/check
program=${SWARMLOCO:-target/release/swarmloco}
[ -x "$program" ] || cargo build --release --locked
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The exit status of a check; more than 1 is no answer.
verdict() {
  local status=0
  "$program" check "$work/$1" --baseline "$work/$2" --out "$work/figures" >"$work/last.txt" 2>/dev/null || status=$?
  [ "$status" -le 1 ] || { echo "check $1 against $2: exit status $status" >&2; exit 1; }
  echo "$status"
}

alarms=0 independent=0 paired=0
for trial in $(seq 0 $((trials - 1))); do
  first=$((10 * trial + 1))
  other=$((first + 5))
  sweep() { "$program" sweep "$scenario" --out "$work/$1" --overwrite --quiet "${@:2}" >"$work/last.txt"; }
  sweep baseline --seeds "$first..$((first + 4))"
  sweep unchanged --seeds "$other..$((other + 4))"
  sweep changed --seeds "$other..$((other + 4))" --set "$changed"
  alarms=$((alarms + $(verdict unchanged baseline)))
  independent=$((independent + $(verdict changed baseline)))
  paired=$((paired + $(verdict changed unchanged)))
done

# How far the change moves the loss, over fifty seeds.
"$program" sweep "$scenario" --seeds 1..50 --out "$work/shift" --overwrite --quiet \
  --axis "${changed%=*}=0.8,${changed#*=}" >"$work/last.txt"
shift=$(grep "^| ${changed#*=} |" "$work/shift/summary.md")
baseline=$(grep "^| 0.8 |" "$work/shift/summary.md")

mkdir -p "$out"
cat >"$out/alarms.md" <<END
# How often \`swarmloco check\` alarms

Made by \`scripts/check-alarms.sh $trials\`: \`$scenario\`, margin 1 %, five seeds a side, fresh seeds in each of $trials trials. The
change is \`$changed\` instead of 0.8.

| checked | baseline | test | alarms | wanted |
|---|---|---|--:|--:|
| unchanged, other seeds | unchanged | independent | $alarms of $trials | at most 5 % |
| changed, other seeds | unchanged | independent | $independent of $trials | at least 95 % |
| changed, same seeds | unchanged | paired | $paired of $trials | at least 95 % |

Seeds of this quadratic differ by a standard deviation of about 0.28 % of the final loss. Where they differ more, an
unchanged program fails more often, as undecided and with the number of seeds that would tell; a change of the margin or
more passes in at most 5 % of cases whatever the noise.

Over fifty seeds the change moves the final loss as follows:

$(grep -m1 "| seeds | final loss |" "$work/shift/summary.md" | cut -d'|' -f1-5)|
|---|--:|--:|--:|
$(echo "$baseline" | cut -d'|' -f1-5)|
$(echo "$shift" | cut -d'|' -f1-5)|
END
cat "$out/alarms.md"
