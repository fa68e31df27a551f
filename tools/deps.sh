#!/usr/bin/env bash
# Installs what a build needs: Debian packages (as root) and LibTorch's wheels into .deps/; with the
# word `tests`, what tests need besides: Slurm, a browser, and into .deps/ the libraries that they
# compare with and a bare Debian. With the word `lint`: what `make lint` runs. With the word `smollm`:
# a language model for `make demo-smollm` (110 MB) and what reads it. With the word `bundle`: what
# `make bundle` packs with. With the word `fuzz`: what `make fuzz` needs, which is clang, and no
# LibTorch.
# Does nothing that is already done. Called by make; settings come from there:
#   SYSTEM_PACKAGES=no   the site provides the libraries itself: do not look at Debian's packages
#   LIBTORCH=DIR         the site's own LibTorch: do not install the wheels
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ make cmake ninja-build ccache pkg-config python3 python3-pip ca-certificates
          openmpi-bin libopenmpi-dev openssh-client libhdf5-dev hdf5-tools
          libsentencepiece-dev libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev
          nlohmann-json3-dev libicu-dev libssl-dev libzip-dev zlib1g-dev libjemalloc-dev doctest-dev)
bundle_packages=(patchelf zstd)
test_packages=(slurm-wlm munge                            # they need not run as services
               chromium chromium-driver fonts-dejavu-core # look at the page of tools/report
               mmdebstrap uidmap iproute2                 # a bare Debian to try the bundle in
               "${bundle_packages[@]}")
fuzz_packages=(clang-14 libclang-rt-14-dev llvm-14)        # llvm-14 names the lines of a find
lint_packages=(clang-format-14 clang-tidy-14)

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
  DEBIAN_FRONTEND=noninteractive bash -c "$command" >.deps/apt.log 2>&1 ||
    { tail -20 .deps/apt.log >&2; echo "deps: apt-get failed; all of its output is in .deps/apt.log" >&2; exit 1; }
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
install_system_packages "${packages[@]}"
install_libtorch
