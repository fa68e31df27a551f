#!/usr/bin/env bash
# The demo, as `make demo` runs it: converts the digits' features, scores the untrained model,
# trains with two ranks, and shows what was learned. Fed by input/demo.toml; leaves output/demo/ in
# the folder that it is called from, and where that has no input/ a link to the demo's. Interrupted,
# it goes on when typed again; done, it shows again what was learned.
#   --fresh                  start over: the old run is moved to output/demo/previous-N/
#   --set train.epochs=1     train with a setting of your own
#   BUILD=ROOT/build         build folder with bin/bovila and bin/pth2h5
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "$root/tools/demo_common.bash"
out=output/demo
options "$@"
need bovila pth2h5
[[ -e input ]] || ln -s "$root/input" input
echo "BoViLA learns to read handwritten digits off videos (input/demo/README.md)."
if ((${#fresh[@]} == 0)) && is_done input/demo.toml; then
  echo "It has learned them already, $out/ holds the run. To start over: tools/demo.sh --fresh"
else
  echo "This takes 1 to 3 minutes on two free cores; everything is left in $out/."
fi
mkdir -p $out/before

step "features: .pth to sharded HDF5"
"$bin/pth2h5" input/demo/data/star/clipvitl14.pth $out/features

step "accuracy before training (guessing gives 25 %)"
[[ -e $out/before/eval.json ]] ||
  logged $out/before/eval.log "$bin/bovila" input/demo.toml --eval --output $out/before
python3 "$root/tools/demo_report.py" accuracy before=$out/before/eval.json

step "training: mpirun -np 2 bovila input/demo.toml (all of its output: $out/training.log)"
trained $out/training.log mpirun -np 2 "$bin/bovila" input/demo.toml "${fresh[@]}" "${settings[@]}"
last=$(ls $out/epoch*.json | sort -V | tail -1)

step "accuracy on the validation questions, in %"
python3 "$root/tools/demo_report.py" accuracy before=$out/before/eval.json after="$last"
step "some of them"
python3 "$root/tools/demo_report.py" questions input/demo/data/star/STAR_val.json "$last"

step "the run as a page for a browser, with the questions that the model asks itself"
[[ $out/eval.json -nt $last ]] ||
  logged $out/asking.log "$bin/bovila" input/demo.toml --eval --set eval.ask=true
"$root/tools/report" $out
echo
echo "More: input/demo/README.md (what the published code reaches), input/README.md (your own data)."
