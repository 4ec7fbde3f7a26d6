#!/usr/bin/env bash
# SmolLM2-135M on one GPU: what the start of the new rows is still worth after two million tokens.
#
#     benchmarks/gpu_bench_init.sh                # one CUDA device, no network: at most eight minutes
#     benchmarks/gpu_bench_init.sh --dry-run      # the whole script at the tiny shape on the CPU
#     benchmarks/gpu_bench_init.sh --list         # the commands, in their order; nothing is run
#
# --to FOLDER (outputs/gpu_bench_init), --seconds N (480; of a dry run 90), --seeds "0 1 2", --arms "mean zip_tie": some
# of them; settings behind these (key=value) go to every run. What must be there: the package, models/smollm2, a text
# below $BAILONG_DATA, and the tokenizer (bailong-extend tokenizer=smollm2_zht data=wikipedia_zht data.held_out=0.25).
# For a dry run models/tiny and tokenizers/tiny (make demo).
#
# The arms and their order were written down before any was run. All arms of a seed come before the next seed, so that
# those that fit into the time are a fair comparison. One that would not fit is not begun, nor any behind it; one that
# is late all the same is asked to stop, and saves itself. After each the folder has all that is known, without the
# checkpoints, and bailong-compare reads it.
set -uo pipefail

ARMS=(
    "random_matched    initializer=random_matched"
    "mean              initializer=mean"
    "zip_tie           initializer=zip_tie"
    "zip_tie_shuffled  initializer=zip_tie_shuffled"
    "zip_tie_mass      initializer=zip_tie_mass"
    "untied            initializer=zip_tie model.tie=none"   # what the next two differ from in their rows alone
    "eeve              initializer=eeve model.tie=none"
    "eeve_norm         initializer=eeve_norm model.tie=none"
    "ntp_rows          initializer=ntp_rows"
    "token_distill     initializer=token_distill"
    "no_extension      initializer=no_extension"
    "rows_themselves   initializer=zip_tie adapter.rows=trainable_new"
)
# 16,384 tokens a step, 122 steps; the text is read little more than once. Nothing is compiled for so short a run.
FULL="experiments=smollm2_zht data=wikipedia_zht data.held_out=0.25 data.evaluation_bytes=48_000
    data.evaluation_bytes_at_ends=200_000 stage.batch_size=16 stage.max_tokens=2_000_000 stage.epochs=null
    stage.evaluate_every_tokens=250_000 trainer.micro_batch=16 trainer.compile=none trainer.accelerator=cuda"
TINY="experiments=tiny stage.max_steps=4 stage.batch_size=4 trainer.micro_batch=4 stage.context=64
    stage.evaluate_every_tokens=500 data.folder=null data.evaluation_bytes=1500 evaluation_text_bytes=1500 trainer.accelerator=cpu"
COMPARING=30  # seconds that are kept for the comparison

refuse() { echo "error: $*" >&2; exit 2; }

dry="" list="" to=outputs/gpu_bench_init seconds="" seeds="0 1 2" chosen="" more=()
while (($#)); do
    case $1 in
        --dry-run) dry=yes ;;
        --list) list=yes ;;
        --to | --seconds | --seeds | --arms)
            (($# > 1)) || refuse "$1 needs a value"
            case $1 in --to) to=$2 ;; --seconds) seconds=$2 ;; --seeds) seeds=$2 ;; --arms) chosen=$2 ;; esac
            shift ;;
        *=*) more+=("$1") ;;
        *) refuse "unknown option $1: --dry-run, --list, --to, --seconds, --seeds, --arms, or key=value" ;;
    esac
    shift
done
: "${seconds:=$([[ $dry ]] && echo 90 || echo 480)}"
[[ $seconds =~ ^[0-9]+$ && $seconds -gt $COMPARING ]] || refuse "--seconds $seconds is not accepted: a number above $COMPARING"
names=" $(printf '%s\n' "${ARMS[@]}" | awk '{printf "%s ", $1}')"
for name in $chosen; do
    [[ $names == *" $name "* ]] || refuse "no arm is called $name:$names"
done
if [[ ! $dry && ! $list ]] && ! nvidia-smi -L 2>/dev/null | grep -q ^GPU; then
    refuse "nvidia-smi sees no GPU here; --dry-run takes the CPU"
fi
PATH=$PATH:$(cd "$(dirname "$0")/.." && pwd)/.venv/bin
work=$to/work results=$to/results shape=$FULL deadline=$((SECONDS + seconds - COMPARING))
[[ $dry ]] && shape=$TINY
export HF_HUB_OFFLINE=1

command_of() { # ARM NAME SEED: the words of its command, in `words`
    read -r -d '' -a words <<<"bailong-train $shape ${1#"$2"} seed=$3 tracking=local outputs=$work" || true
    [[ $dry && $2 =~ ^(ntp_rows|token_distill)$ ]] && words+=(initializer.calibration.text_bytes=4_000)
    words+=(${more[@]+"${more[@]}"})
}

flush() { # what is known so far, without checkpoints and what runs share
    [[ ! -d $work ]] || tar -c -C "$work" --exclude=checkpoints --exclude=cache . | tar -x -C "$results"
}

declare -A took=() # seconds of each arm, of the last seed that had it
longest=0 failed=0 ended=""
for seed in $seeds; do
    for arm in "${ARMS[@]}"; do
        read -r name _ <<<"$arm"
        [[ $chosen && " $chosen " != *" $name "* ]] && continue
        command_of "$arm" "$name" "$seed"
        [[ $list ]] && echo "${words[*]}" && continue
        left=$((deadline - SECONDS)) needs=${took[$name]:-$longest}
        if [[ $ended ]] || ((left <= needs)); then
            echo "$name, seed $seed: not begun" && ended=yes && continue
        fi
        began=$SECONDS
        mkdir -p "$results/console"
        timeout --foreground --signal=TERM --kill-after=20 "$left" "${words[@]}" >"$results/console/$name-$seed.txt" 2>&1
        code=$? took[$name]=$((SECONDS - began))
        flush
        case $code in
            0) echo "$name, seed $seed: ${took[$name]} s" ;;
            124 | 137) echo "$name, seed $seed: interrupted after ${took[$name]} s" && ended=yes ;;
            130 | 143) echo "$name, seed $seed: interrupted" && exit "$code" ;;
            *) failed=1 && echo "$name, seed $seed: failed: $(tail -n 1 "$results/console/$name-$seed.txt")" ;;
        esac
        ((took[$name] > longest)) && longest=${took[$name]}
    done
done
[[ $list ]] && exit 0
bailong-compare "runs=$results" 'by=[initializer.name,model.tie,adapter.rows]' 'baseline=[zip_tie,input,lora]' || failed=1
echo "$results"
exit $failed
