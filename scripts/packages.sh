# Sourced. Finds out which Debian packages are missing and has them installed, after asking once.

missing_packages() { # missing_packages run|test: names, on one line
    local wanted=()
    find_python >/dev/null || wanted+=(python3-venv)
    command -v java >/dev/null || wanted+=(default-jre-headless)
    jars_there || command -v mvn >/dev/null || wanted+=(maven)
    [ -x /usr/sbin/clamd ] || wanted+=(clamav-daemon)
    [ -x /usr/sbin/spamd ] || wanted+=("$(spamd_package)" spamassassin)
    if [ "$1" = test ]; then
        command -v chromium >/dev/null || command -v chromium-browser >/dev/null || wanted+=(chromium)
    fi
    printf '%s\n' "${wanted[*]}"
}

spamd_package() { # its own package from Debian 12 on
    if [ -n "$(apt-cache show spamd 2>/dev/null)" ]; then echo spamd; else echo spamassassin; fi
}

jars_there() { compgen -G '.tools/kafka/lib/kafka_*.jar' >/dev/null; }

install_packages() { # install_packages run|test
    local missing
    missing=$(missing_packages "$1")
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || die 2 "this system has no apt; install what gives: $missing"
    if ! may_install; then
        die 2 "packages are missing. Install them with: sudo apt install --no-install-recommends $missing"
    fi
    confirm "Install $missing and what they need by apt? No service is started or changed." ||
        die 2 "not installed. To do it yourself: sudo apt install --no-install-recommends $missing"
    say "installing $missing (some minutes, once)"
    mkdir -p .tools
    [ -s .tools/apt-before ] || list_packages >.tools/apt-before
    # shellcheck disable=SC2086 # a list of names
    as_root scripts/apt-quiet $missing
    list_packages | LC_ALL=C comm -13 .tools/apt-before - >>.tools/apt-added
    rm .tools/apt-before
    missing=$(missing_packages "$1")
    [ -z "$missing" ] || die 1 "apt installed, yet something is missing still: $missing"
}

list_packages() {
    dpkg-query -W -f='${db:Status-Abbrev}${binary:Package}\n' | sed -n 's/^ii *//p' | LC_ALL=C sort
}

may_install() {
    is_root && return
    command -v sudo >/dev/null || return
    [ -t 0 ] || sudo -n true 2>/dev/null
}

as_root() {
    if is_root; then "$@"; else sudo "$@"; fi
}
