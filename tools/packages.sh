#!/bin/sh
# packages.sh LIST...: makes sure that Debian packages are there.  LIST is `build`, `demo`, `check` or `compilers`.
# As root what is missing is installed; otherwise the packages to install are named.
set -eu

build="gcc make flex bison pkg-config libhdf5-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev libc6-dev"
demo="dataset-fashion-mnist"
check="libcriterion-dev libopenblas-dev clang clang-format libclang-rt-14-dev libomp-14-dev hdf5-tools python3-h5py python3-numpy g++ cmake meson ninja-build qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross"
compilers="gcc-11 g++-11 gcc-12 g++-12 clang-13 clang-14 clang-15 clang-16"

wanted=
for list in "$@"; do
  case $list in
  build) wanted="$wanted $build" ;;
  demo) wanted="$wanted $demo" ;;
  check) wanted="$wanted $check" ;;
  compilers) wanted="$wanted $compilers" ;;
  *)
    echo "packages.sh: no list called '$list'" >&2
    exit 2
    ;;
  esac
done

missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ]; then
  echo "These Debian packages are missing; install them as root and try again:" >&2
  echo "  apt-get install$missing" >&2
  exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
