#!/usr/bin/env bash
# Packs a build into one file that runs where nothing is installed but Python's torch, as
# `make bundle` runs it: BUILD/bovila-VERSION-x86_64.tar.zst. Fed by the programs of the build and by
# what this system has of the libraries that they load; tools/bundle/launch starts them there.
#   BUILD=build   build folder
#
# In the folder that it unpacks to, commands are those of the source tree: build/bin/bovila,
# tools/pth2h5, input/demo.toml, jobs/star.slurm. build/bin/NAME is a link to the launcher, the
# program itself is libexec/NAME.
#
# Not packed: glibc, which belongs to the machine's kernel and name services; what comes with
# LibTorch, libgomp among it. libstdc++ and libgcc_s are packed, so that programs meet the ones that
# they were tested with, whatever a site's modules put first: LibTorch's wheel is made for older ones
# and takes them too. Of Open MPI the parts are left out that speak to a fabric by UCX, libfabric,
# verbs or PSM, which Debian switches off too: MPI's messages are small, and large ones between GPUs
# are NCCL's, which uses the libraries of the machine that it runs on.
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
max_bytes=60000000
max_glibc=2.36 # Debian 12's
version=$(sed -n 's/^project(bovila VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=bovila-$version-x86_64
stage=$BUILD/bundle/$name
programs=(bovila bovila-hang pth2h5 sets2jsonl llama2bovila ckpt2pth perplexity
          speed mpi_tests nccl_tests gpu_tests golden_tests rank_death)

fail() {
  echo "bundle: $1" >&2
  exit 1
}

# cached NAME: a path that CMake found.
cached() { sed -n "s/^$1:[A-Z]*=//p" "$BUILD/CMakeCache.txt"; }

# Folders of LibTorch and of what it brings.
torch_folders=()
for library in TORCH_CPU_LIB CUDART_LIB NCCL_LIB; do
  torch_folders+=("$(dirname "$(cached $library)")")
done
torch_folders+=("${torch_folders[0]}"/../../nvidia/*/lib)

is_glibc() {
  case $1 in
    ld-linux-x86-64.so.2 | libc.so.6 | libm.so.6 | libpthread.so.0 | libdl.so.2 | librt.so.1 | \
      libresolv.so.2 | libutil.so.1 | libanl.so.1) ;;
    *) return 1 ;;
  esac
}
comes_with_torch() {
  local folder
  for folder in "${torch_folders[@]}"; do
    [[ -e $folder/$1 ]] && return
  done
  return 1
}

# take FILE FOLDER: a copy without symbols and without the run path of where it was made.
take() {
  local target=$2/${3:-$(basename "$1")}
  install -m 755 "$(readlink -f "$1")" "$target"
  strip --strip-unneeded "$target"
  [[ -z $(patchelf --print-rpath "$target") ]] || patchelf --remove-rpath "$target"
  sources+=("$(readlink -f "$1")")
}

# take_libraries_of FILE: what it needs goes to lib/, with all that those need.
take_libraries_of() {
  local needed path
  while read -r needed; do
    is_glibc "$needed" && continue
    if comes_with_torch "$needed"; then
      from_torch+=("$needed")
      continue
    fi
    [[ -e $stage/lib/$needed ]] && continue
    path=$(ldd "$1" | awk -v name="$needed" '$1 == name && $2 == "=>" { print $3 }')
    [[ -e $path ]] || fail "$needed, which $1 needs, was not found"
    take "$path" "$stage/lib" "$needed"
    take_libraries_of "$path"
  done < <(patchelf --print-needed "$1")
}

# A run path of the older kind: it comes before LD_LIBRARY_PATH, where a site's modules may have
# another MPI, HDF5 or libstdc++; and all libraries of the process are looked for in it.
take_program() {
  [[ -e $1 ]] || fail "$1 is missing"
  take "$1" "$stage/libexec" "$2"
  patchelf --force-rpath --set-rpath '$ORIGIN/../lib' "$stage/libexec/$2"
  take_libraries_of "$1"
  ln -s launch "$stage/bin/$2"
}

# mpi_path WHAT: where Open MPI was installed.
mpi_path() { ompi_info --parsable --path "$1" | cut -d: -f3; }

take_open_mpi() {
  command -v ompi_info >/dev/null || fail "Open MPI's ompi_info is missing; other MPIs are not packed"
  local plugin tool
  for tool in mpirun orted; do take_program "$(readlink -f "$(mpi_path bindir)/$tool")" $tool; done
  for plugin in "$(mpi_path pkglibdir)"/mca_*.so; do
    patchelf --print-needed "$plugin" |
      grep -qE '^lib(ucp|fabric|ibverbs|psm2|psm_infinipath|oshmem)\.' && continue
    take "$plugin" "$stage/lib/openmpi"
    take_libraries_of "$plugin"
  done
  cp "$(mpi_path pkgdatadir)"/help-*.txt "$stage/share/openmpi/"
  echo "# This installation's settings of Open MPI: NAME = VALUE" \
    >"$stage/etc/openmpi-mca-params.conf"
  take_pmix
}

# What Open MPI and Slurm start ranks with; it has plugins of its own.
take_pmix() {
  local folder
  folder=$(dirname "$(readlink -f "$(ldd "$(mpi_path pkglibdir)"/mca_pmix_ext3x.so |
    awk '$1 == "libpmix.so.2" { print $3 }')")")
  for plugin in "$folder"/pmix/*.so; do
    take "$plugin" "$stage/lib/pmix"
    take_libraries_of "$plugin"
  done
  cp "$folder"/../share/pmix/help-*.txt "$stage/share/pmix/"
}

# The launcher looks for these names in the Python that it is shown.
write_what_torch_brings() {
  local python=${torch_folders[0]}/../version.py
  {
    sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$python"
    printf '%s\n' "${from_torch[@]}" | sort -u
  } >"$stage/lib/from-torch.txt"
}

take_files() {
  cp -r input jobs "$stage/"
  cp README.md BENCHMARKS.md CHANGELOG.md "$stage/"
  mkdir -p "$stage"/{tools,tests/cli,tests/golden}
  cp -r tests/golden/mini "$stage/tests/golden/"
  cp tests/run.sh tests/README.md "$stage/tests/"
  cp tests/cli/{helpers.bash,rank_death.sh} "$stage/tests/cli/"
  cp -r tools/{demo.sh,demo_common.bash,demo_report.py,gguf2llama.py,report} \
    tools/{extract_features,extraction_folder,frame_encoder}.py \
    tools/{report_page,plot_run,submission,run_folder.py,run_ledger.py,run_statistics.py,output_place.py,gpu-first-light,README.md} \
    tools/report_compare.py tools/sweep tools/sweep_*.py tools/pictures "$stage/tools/"
  for tool in pth2h5 sets2jsonl llama2bovila ckpt2pth; do ln -s ../bin/$tool "$stage/tools/$tool"; done
  ln -s ../bin/bovila-hang "$stage/tools/hang"
  install -m 755 tools/bundle/launch "$stage/bin/launch"
  ln -s bin/bovila bin/mpirun tools/gpu-first-light "$stage/"
  ln -s tools/demo.sh "$stage/demo"
  ln -s ../bin "$stage/build/bin"
}

# Debian's note of authors and terms for each package that something was taken from, or compiled in.
take_licenses() {
  local package packages
  # By the files' names: packages list some of them under /lib, which is /usr/lib.
  packages=$(printf '*x86_64-linux-gnu*/%s\n' "${sources[@]##*/}" |
    { xargs dpkg-query -S 2>/dev/null || true; } | cut -d: -f1 | sort -u)
  for package in $packages nlohmann-json3-dev libcli11-dev libtomlplusplus-dev doctest-dev; do
    cp "/usr/share/doc/$package/copyright" "$stage/share/licenses/$package"
  done
}

# The newest version of glibc that a file asks for.
needed_glibc() {
  find "$stage/libexec" "$stage/lib" -type f ! -name '*.txt' -exec objdump -T {} + |
    grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1 | cut -d_ -f2
}

rm -rf "$BUILD/bundle"
mkdir -p "$stage"/{bin,build,etc,lib/openmpi,lib/pmix,libexec,share/openmpi,share/pmix,share/licenses}
sources=()    # files that were taken from the system
from_torch=() # libraries that were not
for program in "${programs[@]}"; do take_program "$BUILD/bin/$program" "$program"; done
take_open_mpi
write_what_torch_brings
take_files
take_licenses
glibc=$(needed_glibc)
[[ $(printf '%s\n' "$glibc" $max_glibc | sort -V | tail -1) == "$max_glibc" ]] ||
  fail "this build needs glibc $glibc, the bundle promises $max_glibc: build on Debian 12"

archive=$BUILD/$name.tar.zst
tar -C "$BUILD/bundle" --sort=name --owner=0 --group=0 --numeric-owner -c "$name" |
  zstd -12 --long=26 -T0 --quiet --force -o "$archive"
size=$(stat -c %s "$archive")
((size <= max_bytes)) || fail "$archive has $size bytes, more than $max_bytes"
echo "$archive: $((size / 1000000)) MB, unpacked $(du -sm "$stage" | cut -f1) MB," \
  "glibc $glibc or newer"
