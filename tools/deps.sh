#!/usr/bin/env bash
# Installs what a build needs: Debian packages (as root) and LibTorch's wheels into .deps/; with the
# word `tests`, what tests need besides: Slurm, a browser, and into .deps/ the libraries that they
# compare with and a bare Debian. With the word `lint`: what `make lint` runs. With the word `smollm`:
# a language model for `make demo-smollm` (110 MB) and what reads it. With the word `fuzz`: what `make
# fuzz` needs, which is clang, and no LibTorch. With the word `bundle`: what `make bundle` packs with.
# With the word `mpich`: MPICH for `make test-mpich`. With the word `aarch64`: what `make test-aarch64`
# needs, which is a cross compiler, an emulator and, in .deps/aarch64/ (50 MB, unpacked 210), Debian's
# libraries for that processor.
# Does nothing that is already done. Called by make; settings come from there:
#   SYSTEM_PACKAGES=no   the site provides the libraries itself: do not look at Debian's packages
#   LIBTORCH=DIR         the site's own LibTorch: do not install the wheels
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
  '' | tests | lint | smollm | fuzz | bundle | mpich | aarch64) ;;
  *)
    echo "deps: expected tests, lint, smollm, fuzz, bundle, mpich, aarch64 or nothing, got: $1" >&2
    exit 2
    ;;
esac

libraries=(libhdf5-dev libsentencepiece-dev libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev
           nlohmann-json3-dev libicu-dev libssl-dev libzip-dev zlib1g-dev doctest-dev)
packages=(g++ make cmake ninja-build ccache mold pkg-config python3 python3-pip ca-certificates
          openmpi-bin libopenmpi-dev openssh-client hdf5-tools libjemalloc-dev "${libraries[@]}")
bundle_packages=(patchelf zstd)
test_packages=(slurm-wlm munge                            # they need not run as services
               man-db environment-modules                 # read what is installed
               chromium chromium-driver fonts-dejavu-core # look at the page of tools/report
               mmdebstrap uidmap iproute2                 # a bare Debian to try the bundle in
               "${bundle_packages[@]}")
fuzz_packages=(clang-14 libclang-rt-14-dev llvm-14)        # llvm-14 names the lines of a find
mpich_packages=(mpich libmpich-dev) # beside Open MPI, which remains mpirun
aarch64_packages=(g++-aarch64-linux-gnu qemu-user-static)
lint_packages=(clang-format-14 clang-tidy-14)

# run_apt COMMAND
run_apt() {
  DEBIAN_FRONTEND=noninteractive bash -c "$1" >.deps/apt.log 2>&1 && return
  tail -20 .deps/apt.log >&2
  echo "deps: apt-get failed; all of its output is in .deps/apt.log" >&2
  exit 1
}

# install_system_packages PACKAGE...
install_system_packages() {
  local packages=("$@")
  [[ ${SYSTEM_PACKAGES:-yes} == no ]] && return
  if ! command -v dpkg-query >/dev/null; then
    echo "deps: not a Debian system, its packages are left to you (Debian's names: ${packages[*]})"
    return
  fi
  local missing=() package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if ((EUID != 0)); then
    cat >&2 <<EOF
deps: these packages are missing: ${missing[*]}
deps: ask an administrator to run:  $command
deps: or, if your site provides them in another way:  make SYSTEM_PACKAGES=no ...
EOF
    exit 1
  fi
  echo "deps: installing ${missing[*]}"
  run_apt "$command"
}

# install_wheels REQUIREMENTS FOLDER: the packages of a list, without what they ask for themselves.
install_wheels() {
  local wanted=$1 folder=$2
  cmp -s "$wanted" "$folder/.installed-requirements" && return
  echo "deps: installing $wanted into $folder/"
  rm -rf "$folder" "$folder.part"
  python3 -m pip install --quiet --no-deps --no-compile --root-user-action=ignore \
    --target "$folder.part" -r "$wanted"
  cp "$wanted" "$folder.part/.installed-requirements"
  mv "$folder.part" "$folder"
}

# install_bare_debian FOLDER: the packages that every Debian has, and Python. Its files are the
# caller's own, without devices: root is not needed.
install_bare_debian() {
  [[ -d $1 ]] && return
  echo "deps: installing a bare Debian 12 into $1/"
  rm -rf "$1.part"
  mkdir "$1.part"
  mmdebstrap --quiet --variant=minbase --include=python3 bookworm - 2>.deps/mmdebstrap.log |
    tar -x --no-same-owner --exclude='./dev/*' -C "$1.part" ||
    { tail -20 .deps/mmdebstrap.log >&2; echo "deps: no bare Debian was made" >&2; exit 1; }
  mv "$1.part" "$1"
}

install_libtorch() {
  [[ -n ${LIBTORCH:-} ]] && return
  install_wheels tools/libtorch-requirements.txt .deps/python # about 2 GB
}

# install_aarch64_libraries FOLDER PACKAGE...: Debian's packages for aarch64 and all that they need,
# unpacked but not installed: most -dev packages cannot be installed for two architectures at once.
# apt is told of a system of its own, an empty one, so this one's state does not change.
install_aarch64_libraries() {
  local folder=$1 apt=$PWD/$1.apt package link
  shift
  [[ $(cat "$folder/.packages" 2>/dev/null) == "$*" ]] && return
  echo "deps: unpacking libraries for aarch64 into $folder/"
  rm -rf "$folder" "$folder.part" "$apt"
  mkdir -p "$folder.part" "$apt/lists/partial" "$apt/archives/partial"
  touch "$apt/status"
  cat >"$apt/apt.conf" <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
EOF
  APT_CONFIG=$apt/apt.conf run_apt "apt-get update && apt-get install -y --download-only $*"
  for package in "$apt"/archives/*.deb; do dpkg -x "$package" "$folder.part"; done
  while read -r link; do # seen from outside, /lib is this machine's
    ln -sfn --relative "$folder.part$(readlink "$link")" "$link"
  done < <(find "$folder.part" -lname '/*')
  rm -r "$apt"
  echo "$*" >"$folder.part/.packages"
  mv "$folder.part" "$folder"
}

mkdir -p .deps
if [[ ${1:-} == smollm ]]; then
  install_wheels tools/smollm-requirements.txt .deps/smollm
  exit
fi
if [[ ${1:-} == tests ]]; then
  install_system_packages "${test_packages[@]}"
  install_wheels tests/tools/requirements.txt .deps/test-python
  install_bare_debian .deps/bare-debian
  exit
fi
if [[ ${1:-} == bundle ]]; then
  install_system_packages "${bundle_packages[@]}"
  exit
fi
if [[ ${1:-} == lint ]]; then
  install_system_packages "${lint_packages[@]}"
  exit
fi
if [[ ${1:-} == fuzz ]]; then
  install_system_packages "${packages[@]}" "${fuzz_packages[@]}"
  exit
fi
if [[ ${1:-} == mpich ]]; then
  install_system_packages "${mpich_packages[@]}"
  exit
fi
if [[ ${1:-} == aarch64 ]]; then
  install_system_packages "${packages[@]}" "${aarch64_packages[@]}"
  install_aarch64_libraries .deps/aarch64 "${libraries[@]}"
  exit
fi
install_system_packages "${packages[@]}"
install_libtorch
