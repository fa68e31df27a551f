#!/usr/bin/env bash
# Checkpoints of the published code's form, written and read by the PyTorch in .deps/: scored by
# --resume FILE.pth --eval, and made of ours by ckpt2pth.
. "$(dirname "$0")/helpers.bash"

# torch PYTHON [ARGUMENT...]: the script, with PyTorch.
torch() {
  PYTHONPATH=$root/.deps/python:$root/.deps/test-python PYTHONWARNINGS=ignore \
    python3 -c "import torch; $1" "${@:2}"
}

# trained: a run of one epoch, made once, and its checkpoint as ours.pth; sets `deck`.
trained() {
  inputs star
  # One thread on any number of ranks: products may depend on the number of threads.
  deck+=(--set train.epochs=1 --set run.threads_per_rank=1)
  [[ -e $work/ours.pth ]] && return
  exits 0 bovila "${deck[@]}" --output "$work/run"
  exits 0 "$bin/ckpt2pth" "$work/run" "$work/ours.pth"
}

# scored FILE [ARGUMENT...]: its predictions are in out/eval.json.
scored() {
  exits 0 bovila "${deck[@]}" --eval --resume "$@"
}

# published FILE TYPE: as published, parameters of that type without scale_proj in an ordered dict
# and all that stands beside them; and an object that would run a command.
published() {
  torch '
import argparse, collections, os, pathlib, sys
ours, path, kind = torch.load(sys.argv[1], weights_only=True)["model"], sys.argv[2], sys.argv[3]
dtype = getattr(torch, kind)
model = collections.OrderedDict((k, torch.nn.Parameter(v.to(dtype, copy=True)))
                                for k, v in ours.items() if not k.startswith("scale_proj"))
optimizer = torch.optim.AdamW([{"params": list(model.values())[:2], "weight_decay": 0.14},
                               {"params": list(model.values())[2:]}], lr=1e-2, betas=(0.9, 0.95))
for p in model.values(): p.grad = torch.ones_like(p)
optimizer.step()
with torch.no_grad():
    for k, p in model.items(): p.copy_(ours[k])
class Runs:
    def __reduce__(self): return os.system, ("touch " + path + ".ran",)
args = argparse.Namespace(dataset="star", max_feats=6, adapter_len=5, adapter_layer=3, bias=3.5,
    lr=None, betas=(0.9, 0.95), sub=False, output_dir=pathlib.Path("a") / "b", dtype=torch.float16,
    device=torch.device("cuda", 0), seen={1, 2}, shape=torch.Size([2]), other=Runs())
scaler = {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000,
          "_growth_tracker": 6}
torch.save({"model": model, "optimizer": optimizer.state_dict(), "epoch": 4, "scaler": scaler,
            "args": args}, path)' "$work/ours.pth" "$@"
}

test_a_checkpoint_goes_to_pth_and_back_without_a_change() {
  trained
  torch '
import sys
file = torch.load(sys.argv[1], weights_only=True)
names = ["adapter_query.weight", "visual_proj.weight", "temporal_emb.weight"]
names += [f"layers.{l}.attention.gate{g}" for l in range(3) for g in (1, 2)]
assert list(file["model"]) == names + ["scale_proj.weight", "scale_proj.bias"], list(file["model"])
assert file["model"]["adapter_query.weight"].shape == (15, 48)
assert all(v.dtype == torch.float32 for v in file["model"].values())
assert file["step"] == 6 and "batch_size = 4" in file["deck"]' "$work/ours.pth"
  scored "$work/ours.pth"
  cmp "$work/run/epoch0.json" out/eval.json
  [[ $(<said) != *lacks* ]]
}

test_a_published_checkpoint_is_scored_and_none_of_its_code_runs() {
  trained
  published fp32.pth float32
  scored fp32.pth
  says_once "scoring the published checkpoint fp32.pth: dataset star, max_feats 6, adapter_len 5, \
adapter_layer 3, bias 3.5"
  says_once "fp32.pth lacks scale_proj.weight, scale_proj.bias: their start values stay"
  cmp "$work/run/epoch0.json" out/eval.json # frozen: they are the run's
  exits 0 ranks 2 "${deck[@]}" --eval --resume fp32.pth --output two
  cmp out/eval.json two/eval.json
  scored fp32.pth --set train.seed=1 --output seed
  holds "[q['pre'] for q in load('seed/eval.json')] == [q['pre'] for q in load('out/eval.json')]"
  holds "[q['u'] for q in load('seed/eval.json')] != [q['u'] for q in load('out/eval.json')]"
  [[ ! -e fp32.pth.ran ]]
}

test_a_published_checkpoint_that_is_scored_can_be_asked() {
  trained
  published fp32.pth float32
  scored fp32.pth
  python3 "$root/tests/cli/ask.py" star "$mini" >asked
  local with
  for with in "--resume fp32.pth" "--set train.start=fp32.pth --set output.folder=none"; do
    feed() { bovila answer "${deck[@]}" $with <asked >answers; }
    exits 2 feed # some clips have no features
    says_once "answering with the published checkpoint fp32.pth: dataset star, max_feats 6"
    says_once "fp32.pth lacks scale_proj.weight, scale_proj.bias: their start values stay"
    holds "all(a['answer'] == load('out/eval.json')[a['id']]['pre']
               for a in lines('answers') if 'error' not in a)"
    holds "sum('error' not in a for a in lines('answers')) >= 8"
  done
  exits 2 bovila answer "${deck[@]}" --resume fp32.pth --set model.max_feats=5
  says_once "fp32.pth: the parameter 'temporal_emb.weight' has shape [6, 48]"
  [[ ! -e none ]]
}

test_each_setting_of_a_published_checkpoint_that_changes_answers_is_a_warning() {
  trained
  published fp32.pth float32
  scored fp32.pth
  [[ $(<said) != *"it was trained with"* ]]
  torch '
import sys
file = torch.load(sys.argv[1], weights_only=False)
vars(file["args"]).update(dataset="tvqa", sub=True, max_seq_len=160, model="7B")
del vars(file["args"])["other"]
torch.save(file, "other.pth")' fp32.pth
  local what
  for what in "--eval --resume other.pth" "--resume other.pth"; do
    if [[ $what == --eval* ]]; then
      exits 0 bovila "${deck[@]}" $what
    else
      exits 0 bovila answer "${deck[@]}" $what </dev/null
    fi
    says_once "warning: other.pth: it was trained with dataset tvqa, data.dataset is star here: "
    says_once "warning: other.pth: it was trained with sub true, data.subtitles is false here: "
    says_once "warning: other.pth: it was trained with max_seq_len 160, model.max_seq_len is 256 here: "
    says_once "warning: other.pth: it was trained with model 7B, model.llama is mini here: "
  done
  holds "len(load('out/eval-record.json')['differences']) == 4"
}

test_half_precision_gives_the_scores_of_the_same_values_in_fp32() {
  trained
  published half.pth float16
  torch 'import sys; file = torch.load(sys.argv[1], weights_only=False)
torch.save({"model": {k: v.detach().float() for k, v in file["model"].items()}}, "wide.pth")' half.pth
  scored half.pth
  scored wide.pth --output wide
  cmp out/eval.json wide/eval.json
  ! cmp -s "$work/run/epoch0.json" out/eval.json
}

test_a_published_checkpoint_of_other_sizes_is_refused_with_both_shapes() {
  trained
  published fp16.pth float16
  exits 2 ranks 2 "${deck[@]}" --eval --resume fp16.pth --set model.max_feats=5
  says_once "fp16.pth: the parameter 'temporal_emb.weight' has shape [6, 48], this model's has \
[5, 48]; give model.llama, model.adapter_len, model.adapter_layers and model.max_feats as it was \
trained with, it says: dataset star, max_feats 6"
  exits 2 bovila "${deck[@]}" --eval --resume fp16.pth --set model.adapter_len=4
  says_once "'adapter_query.weight' has shape [15, 48], this model's has [12, 48]"
  exits 2 bovila "${deck[@]}" --eval --resume fp16.pth --set model.adapter_layers=2
  says_once "'adapter_query.weight' has shape [15, 48], this model's has [10, 48]"
  [[ ! -e out/eval.json ]]
}

test_a_file_is_not_resumed_from() {
  trained
  exits 2 bovila "${deck[@]}" --resume "$work/ours.pth"
  says_once "can be scored (add --eval) but not resumed"
  says_once "starts from its parameters with --set train.start=$work/ours.pth"
}

test_a_new_run_starts_from_the_parameters_of_a_file() {
  trained
  cp "$work/ours.pth" first.pth
  local started=("${deck[@]}" --set train.start=first.pth)
  exits 0 bovila "${started[@]}" --check
  exits 0 ranks 2 "${started[@]}" --eval --output scored
  says_once "starting from first.pth"
  [[ $(<said) != *untrained* ]]
  cmp "$work/run/epoch0.json" scored/eval.json
  exits 0 bovila "${started[@]}"
  ! cmp -s "$work/run/epoch0.json" out/epoch0.json
  exits 0 bovila "${started[@]}" --set train.epochs=2 # goes on from its own checkpoint
  [[ $(<said) != *"starting from"* ]]
  mv first.pth moved.pth
  exits 0 bovila "${deck[@]}" --set train.start=moved.pth --set train.epochs=3
  cp "$work/ours.pth" other.pth
  echo >>other.pth
  exits 2 bovila "${deck[@]}" --set train.start=other.pth --set train.epochs=4
  says_once "train.start (contents)"
  exits 2 bovila "${deck[@]}" --set train.epochs=4
  says_once "train.start (contents)"
}

test_visual_lr_scale_steps_the_projection_alone_with_its_own_rate() {
  trained
  deck+=(--set train.start="$work/ours.pth")
  local scale
  for scale in 0 0.5 1; do
    exits 0 bovila "${deck[@]}" --set train.visual_lr_scale=$scale --output run-$scale
    exits 0 "$bin/ckpt2pth" run-$scale $scale.pth
  done
  exits 0 bovila "${deck[@]}" --output run-default
  cmp run-default/metrics.jsonl run-1/metrics.jsonl
  torch '
import sys
start, frozen, half = (torch.load(path, weights_only=True)["model"] for path in sys.argv[1:])
moved = {name: not torch.equal(value, start[name]) for name, value in frozen.items()}
still = {name for name, has_moved in moved.items() if not has_moved}
assert still == {"visual_proj.weight", "scale_proj.weight", "scale_proj.bias"}, moved
assert not torch.equal(half["visual_proj.weight"], start["visual_proj.weight"])' \
    "$work/ours.pth" 0.pth 0.5.pth
}

test_a_start_that_does_not_fit_is_refused() {
  trained
  cp "$work/ours.pth" first.pth
  local started=("${deck[@]}" --set train.start=first.pth --set model.max_feats=5)
  exits 2 bovila "${started[@]}" --check
  says_once "first.pth: the parameter 'temporal_emb.weight' has shape [6, 48]"
  exits 2 ranks 2 "${started[@]}"
  says_once "first.pth: the parameter 'temporal_emb.weight' has shape [6, 48]"
  exits 2 bovila "${deck[@]}" --set train.start=nowhere.pth
  says_once "file 'nowhere.pth' of train.start is not there"
}

test_files_that_are_no_published_checkpoints_are_refused() {
  trained
  torch '
import sys
file = torch.load(sys.argv[1], weights_only=True)
model = file["model"]
torch.save(file, "legacy.pth", _use_new_zipfile_serialization=False)
torch.save(model, "bare.pth")
torch.save({"model": {k: v for k, v in model.items() if "gate2" not in k}}, "no-gate2.pth")
torch.save({"model": {k: v.long() for k, v in model.items()}}, "integers.pth")
torch.save({"model": model | {"epoch": 3}}, "mixed.pth")
torch.save({"model": model | {"layers.7.attention.gate1": torch.zeros(1)}}, "more.pth")' \
    "$work/ours.pth"
  head -c 2000 "$work/ours.pth" >cut.pth
  local file
  while IFS='|' read -r file text; do
    exits 2 bovila "${deck[@]}" --eval --resume "$file.pth"
    says_once "$text"
  done <<'END'
legacy|legacy.pth: this is the legacy format of PyTorch before 1.6
bare|bare.pth: expected a dict under the key "model", there is none
no-gate2|no-gate2.pth: the parameter 'layers.0.attention.gate2' is not in its dict "model"
integers|has elements of type int64, expected floating point
mixed|mixed.pth: entry "epoch": expected a tensor, got int
cut|cut.pth: the file is cut short or damaged
END
  scored more.pth
  says_once "1 tensors are not this model's and are left out, 'layers.7.attention.gate1' the first"
}

test_ckpt2pth_replaces_its_own_when_forced_nothing_else_and_leaves_nothing_half() {
  trained
  local ckpt2pth=$bin/ckpt2pth
  echo precious >file.pth
  exits 2 "$ckpt2pth" "$work/run" file.pth --force
  says_once "file.pth: expected a .pth made by ckpt2pth or nothing, something else is there"
  [[ $(<file.pth) == precious ]]
  published published.pth float32
  local other
  for other in published.pth "$mini/llama/mini/consolidated.00.pth" /dev/null \
    "$work/run/checkpoints/step-00000006/state.h5"; do
    cp "$other" before
    exits 2 "$ckpt2pth" "$work/run" "$other" --force
    says_once "something else is there"
    [[ $other == /dev/null && -c $other ]] || cmp "$other" before
  done
  mv file.pth elsewhere
  mkdir disk
  ln -s disk/file.pth file.pth
  exits 0 "$ckpt2pth" "$work/run" file.pth
  says_once "in file.pth (a link to $(realpath disk)/file.pth)"
  [[ -L file.pth && -f disk/file.pth ]]
  exits 2 "$ckpt2pth" "$work/run" file.pth
  says_once "file.pth (a link to $(realpath disk)/file.pth) is there already; use --force"
  exits 0 "$ckpt2pth" "$work/run/checkpoints/step-00000006" file.pth --force
  says_once "step 6 of"
  cmp file.pth "$work/ours.pth"
  exits 2 "$ckpt2pth" nowhere x.pth
  exits 2 "$ckpt2pth" "$work/ours.pth" x.pth
  exits 2 "$ckpt2pth" "$work/run" "$PWD"
  exits 2 "$ckpt2pth" "$work/run"
  says_once "FILE is required"
  exits 1 "$ckpt2pth" "$work/run" nowhere/x.pth
  says "nowhere"
  [[ ! -e x.pth ]]
  exits 0 "$ckpt2pth" --help
}

run_tests published
