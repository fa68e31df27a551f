#!/usr/bin/env bash
# The bundle as a user meets it: packed from $BUILD, unpacked, and run where nothing else is, in a
# bare Debian with Python's torch, without a network, from a folder that cannot be written to.
# Needs .deps/bare-debian (`make test-deps`).
. "$(dirname "$0")/../cli/helpers.bash"
debian=$root/.deps/bare-debian
torch=$(dirname "$(sed -n 's/^BOVILA_LIBTORCH:PATH=//p' "$BUILD/CMakeCache.txt")")
mkdir "$work/opt"

# inside PYTHON_PACKAGES COMMANDS: in the bare Debian, with the bundle in /opt and this folder in
# /mnt, where the commands run; the exit code is theirs.
inside() {
  local namespaces=(--mount --net --pid --fork)
  ((EUID == 0)) || namespaces+=(--map-root-user)
  timeout 600 unshare "${namespaces[@]}" bash -c '
    set -e
    debian=$0
    ip link set lo up
    mount --rbind /dev "$debian/dev"
    mount -t proc proc "$debian/proc"
    mount --rbind /sys "$debian/sys"
    mount -t tmpfs tmpfs "$debian/tmp"
    mount --bind "$1" "$debian/usr/local/lib/python3.11/dist-packages"
    mount --bind "$2" "$debian/opt"
    mount -o remount,bind,ro "$debian/opt"
    mount --bind . "$debian/mnt"
    exec env -i PATH=/usr/bin:/bin OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
      OMPI_MCA_rmaps_base_oversubscribe=1 OMP_WAIT_POLICY=passive \
      /usr/sbin/chroot "$debian" bash -euc "cd /mnt; here=\$(echo /opt/*); $3"
  ' "$debian" "$1" "$work/opt" "$2"
}

test_it_is_one_folder_of_at_most_60_mb_in_one_file() {
  exits 0 "$root/tools/bundle.sh"
  archive=$(echo "$BUILD"/bovila-*-x86_64.tar.zst)
  (($(stat -c %s "$archive") <= 60000000))
  [[ $(tar -tf "$archive" | cut -d/ -f1 | sort -u) == "$(basename "$archive" .tar.zst)" ]]
  tar -C "$work/opt" -xf "$archive"
}

test_without_zstd_python_unpacks_the_same() {
  cp "$BUILD"/bovila-*-x86_64.tar.zst "$root/tools/bundle/unpack.py" .
  exits 0 inside "$torch" '! command -v zstd && python3 unpack.py bovila-*.tar.zst out'
  diff -r --no-dereference out "$work/opt"
  truncate -s 5000000 bovila-*.tar.zst
  exits 1 inside "$torch" 'python3 unpack.py bovila-*.tar.zst short'
}

test_the_demo_its_report_and_an_answer() {
  exits 0 inside "$torch" '$here/demo --set train.epochs=1; cat output/demo/training.log'
  says "epoch 1 done" output/demo/report.html
  grep -q 'Newest evaluation' output/demo/report.html
  exits 0 inside "$torch" '$here/tools/pth2h5 --verify output/demo/features
    $here/bovila answer input/demo.toml --video val0000 --question "Which digit is shown last?" \
      --option two --option five --option six --option zero >answer.json'
  holds "load('answer.json')['options'] == ['two', 'five', 'six', 'zero']"
}

# processes NAME: folders in /proc of those that run libexec/NAME.
processes='processes() { for p in /proc/[0-9]*; do
    [[ $(readlink $p/exe) != */libexec/$1 ]] || echo $p; done; }'

test_two_ranks_are_stopped_and_go_on_with_no_library_of_the_machine_but_glibc() {
  exits 0 inside "$torch" "$processes"'
    $here/tools/pth2h5 $here/input/demo/data/star/clipvitl14.pth output/demo/features
    ln -s $here/input input
    train() { $here/mpirun -np 2 $here/bovila input/demo.toml --set train.epochs=2 >>log 2>&1; }
    train &
    job=$!
    until grep -q "epoch 1 step" log; do sleep 0.1; kill -0 $job; done
    [[ $(processes bovila | wc -l) == 2 && $(processes mpirun | wc -l) == 1 ]]
    for p in $(processes bovila) $(processes mpirun); do
      grep -o "/.*\.so[.0-9]*$" $p/maps
    done | sort -u >libraries
    first=$(processes bovila | head -1)
    kill -USR2 ${first#/proc/}
    status=0
    wait $job || status=$?
    echo "exit code $status"
    train
    cat log'
  says "exit code 75" "going on from" "epoch 2 done"
  grep -q '^/opt/.*/lib/openmpi/mca_pml_ob1.so$' libraries
  grep -q '/dist-packages/torch/lib/libtorch_cpu.so$' libraries
  local system=/usr/lib/x86_64-linux-gnu torch=/usr/local/lib/python3.11/dist-packages
  local glibc='(ld-linux-x86-64|lib(c|m|pthread|dl|rt|util|resolv))\.so\.[0-9]+'
  exits 1 grep -vE "^(/opt/.*|$torch/.*|$system/$glibc)$" libraries
}

test_libraries_of_a_sites_modules_are_not_taken() {
  exits 0 inside "$torch" '
    mkdir modules
    for library in $here/lib/*.so*; do echo broken >modules/${library##*/}; done
    export LD_LIBRARY_PATH=$PWD/modules OPAL_PREFIX=/nowhere
    $here/mpirun -np 2 $here/bovila --self-check'
  says "self-check passed" "1     "
}

test_ranks_on_another_node_start_from_the_same_folder() {
  cat >ssh <<'SSH'
#!/bin/bash
# Another node that sees the same folders: nothing of the environment comes along.
while [[ $1 == -* ]]; do shift; done
echo "to $1" >>/mnt/nodes
shift
exec env -i PATH=/usr/bin:/bin bash -c "$*"
SSH
  chmod +x ssh
  exits 0 inside "$torch" '
    export OMPI_MCA_plm_rsh_agent=/mnt/ssh
    $here/mpirun --host elsewhere:2 -np 2 $here/bovila --self-check'
  says "self-check passed"
  [[ $(cat nodes) == "to elsewhere" ]]
}

test_the_launcher_says_what_is_missing() {
  mkdir -p none other/torch/lib cpu/torch/lib
  echo "__version__ = '2.10.0+cu128'" >other/torch/version.py
  echo "__version__ = '2.11.0+cpu'" >cpu/torch/version.py
  touch {other,cpu}/torch/__init__.py cpu/torch/lib/lib{c10,torch_cpu}.so cpu/torch/lib/libgomp.so.1
  exits 2 inside "$PWD/none" '$here/bovila --self-check'
  says "bovila: /usr/bin/python3 has no torch; pip install torch==2.11.0"
  exits 2 inside "$PWD/other" '$here/bovila --self-check'
  says "has torch 2.10.0+cu128, wanted is 2.11.0"
  exits 2 inside "$PWD/cpu" '$here/bovila --self-check'
  says "libc10_cuda.so is not in /usr/local/lib/python3.11/dist-packages/torch/lib"
  exits 2 inside "$torch" 'PYTHON=/opt/no/python $here/bovila --self-check'
  says "there is no '/opt/no/python'"
  exits 0 inside "$PWD/none" '$here/tools/pth2h5 --help' # needs no torch
  mkdir torch # not a Python package of this folder
  exits 0 inside "$torch" '$here/bovila --help'
}

test_gpu_first_light_runs_all_its_parts_small_and_says_that_there_is_no_gpu() {
  exits 0 inside "$torch" '$here/gpu-first-light --small --output light'
  says "self-check   ok" "NCCL tests   ok" "golden runs  ok" "training     ok" "all cards    ok" \
    "all parts passed"
  holds "load('light/result.json')['passed'] and len(load('light/result.json')['parts']) == 7"
}

run_tests bundle
