# Sourced by the scripts beside it. install_packages PACKAGE...: installs what is missing of Debian's packages.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "These packages are missing: ${missing[*]}. Install them as root, or install sudo, and run this again." >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "== installing: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What the library and the command are built with.
build_packages=(cmake ninja-build g++ libeigen3-dev nlohmann-json3-dev libpcre2-dev libxxhash-dev libcli11-dev
                libfmt-dev)

# What the visualizer is built with, beside what scripts/fetch_gui.sh fetches, and what its window and pictures need.
gui_packages=(python3 python3-pip libstb-dev libgif-dev libfmt-dev libcli11-dev fonts-dejavu-core libgl1 libgl1-mesa-dri)
