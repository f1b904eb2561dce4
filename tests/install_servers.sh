#!/bin/sh
# Put in place what the tests need and Python's packages do not carry; what is already there is left alone.
#
#   sh tests/install_servers.sh [mariadb] [chromium] [venv PYTHON]      (mariadb and chromium when none is named)
#
# Exits with an error and a plain sentence when something is still missing at the end.
set -eu

# Debian keeps servers in sbin, which is not on every user's PATH; Homebrew keeps casks out of it.
PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin:/opt/homebrew/opt/mariadb/bin"

have() { command -v "$1" >/dev/null 2>&1; }

has_mariadb() { have mariadbd && have mariadb-install-db && have my_print_defaults; }

has_chromium() {
    have chromium-headless-shell || have chromium || have chromium-browser || have google-chrome || have google-chrome-stable ||
        [ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ] ||
        [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

# Playwright drives Chromium through a Node of its own, which is linked against libatomic.
has_libatomic() { [ "$(uname)" != Linux ] || ldconfig -p | grep -q 'libatomic\.so\.1'; }

has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

# Run a command as root, asking for a password only where somebody is there to type it.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        echo "+ sudo $*" >&2
        sudo "$@"
    else
        echo "This needs root: $*" >&2
        return 1
    fi
}

apt_updated=
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    if [ -z "$apt_updated" ]; then
        as_root apt-get -o DPkg::Lock::Timeout=300 -qq update || return 1
        apt_updated=yes
    fi
    as_root apt-get -o DPkg::Lock::Timeout=300 -qq install --yes --no-install-recommends "$@" >/dev/null
}

# add DEBIAN-PACKAGES FEDORA-PACKAGES BREW-ARGUMENTS
# shellcheck disable=SC2086  # each argument may be several words
add() {
    if have apt-get; then
        echo "Installing $1."
        apt_install $1
    elif have dnf; then
        echo "Installing $2."
        as_root dnf install --assumeyes --quiet $2
    elif have brew; then
        echo "Installing $3."
        brew install $3
    else
        return 1
    fi
}

missing=0
need() { # need TEST SENTENCE DEBIAN FEDORA BREW
    "$1" && return
    add "$3" "$4" "$5" || true
    "$1" && return
    echo "$2" >&2
    missing=1
}

[ $# -gt 0 ] || set -- mariadb chromium
while [ $# -gt 0 ]; do
    case $1 in
    mariadb)
        # the core packages hold the programs alone: no service is set up or started on this machine
        need has_mariadb "The tests need a MariaDB server: install mariadbd and mariadb-install-db \
(Debian: apt-get install mariadb-server-core mariadb-client-core) and run this again." \
            "mariadb-server-core mariadb-client-core" mariadb-server mariadb
        ;;
    chromium)
        # Chromium without windows, which nobody would see; where it is not to be had, the whole of it
        has_chromium || add "chromium-headless-shell fonts-liberation" chromium-headless "--cask chromium" || true
        need has_chromium "The tests need Chromium or Chrome on the PATH \
(Debian: apt-get install chromium; Ubuntu: install Google Chrome) and run this again." \
            "chromium fonts-liberation" chromium "--cask chromium"
        need has_libatomic "Playwright needs the library libatomic.so.1 \
(Debian: apt-get install libatomic1): install it and run this again." \
            libatomic1 libatomic gcc
        ;;
    venv)
        [ $# -gt 1 ] || { echo "venv needs the name of a Python" >&2; exit 2; }
        python=$2
        shift
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        need has_venv "$python cannot make virtual environments: install its venv module \
(Debian: apt-get install python$version-venv) and run this again." \
            "python$version-venv" python3 "python@$version"
        ;;
    *)
        echo "Unknown: $1 (mariadb, chromium or venv PYTHON)" >&2
        exit 2
        ;;
    esac
    shift
done
exit $missing
