# Sourced. Finds out which Debian packages are missing and has them installed, after asking once.

missing_packages() { # missing_packages run|test|distributed|pictures: names, on one line
    local wanted=()
    find_python >/dev/null || wanted+=(python3-venv)
    command -v java >/dev/null || wanted+=(default-jre-headless)
    jars_there || command -v mvn >/dev/null || wanted+=(maven)
    web_there || command -v npm >/dev/null || wanted+=(npm)
    [ -x /usr/sbin/clamd ] || wanted+=(clamav-daemon)
    [ -x /usr/sbin/spamd ] || wanted+=("$(spamd_package)" spamassassin)
    if [ "$1" = test ]; then
        command -v chromium >/dev/null || command -v chromium-browser >/dev/null || wanted+=(chromium)
        command -v fetchmail >/dev/null || wanted+=(fetchmail)
        command -v getmail >/dev/null || wanted+=(getmail6)
        command -v mpop >/dev/null || wanted+=(mpop)
        command -v curl >/dev/null || wanted+=(curl)
        command -v msmtp >/dev/null || wanted+=(msmtp)
        command -v mutt >/dev/null || wanted+=(mutt)
        command -v swaks >/dev/null || wanted+=(swaks libnet-ssleay-perl)
        compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || wanted+=(faketime)
    fi
    case $1 in
    test | distributed) [ -x /usr/bin/redis-server ] || wanted+=(redis-server) ;;
    esac
    [ "$1" != distributed ] || command -v mvn >/dev/null || wanted+=(maven)
    [ "$1" != pictures ] || [ -d /usr/share/fonts/truetype/nanum ] || wanted+=(fonts-nanum)
    printf '%s\n' "${wanted[*]}"
}

spamd_package() { # its own package from Debian 12 on
    if [ -n "$(apt-cache show spamd 2>/dev/null)" ]; then echo spamd; else echo spamassassin; fi
}

jars_there() { compgen -G '.tools/kafka/lib/kafka_*.jar' >/dev/null; }

install_packages() { # install_packages run|test|distributed|pictures
    local missing
    missing=$(missing_packages "$1")
    if [ -s .tools/apt-before ]; then # a former try did not come to its end
        add_packages "$missing"
    elif [ -n "$missing" ]; then
        ask_for "$missing"
        mkdir -p .tools
        list_packages >.tools/apt-before
        add_packages "$missing"
    fi
    missing=$(missing_packages "$1")
    [ -z "$missing" ] || die 1 "apt installed, yet something is missing still: $missing"
}

ask_for() { # ask_for PACKAGES: returns when they may be installed
    command -v apt-get >/dev/null || die 2 "this system has no apt; install what gives: $1"
    local line="sudo apt install --no-install-recommends $1"
    may_install || die 2 "packages are missing. Install them with: $line"
    confirm "Install $1 and what they need by apt? No service is started or changed." ||
        die 2 "not installed. To do it yourself: $line"
}

add_packages() { # add_packages PACKAGES: install, and note what was added
    [ -z "$1" ] || say "installing $1 (some minutes, once)"
    # shellcheck disable=SC2086 # a list of names
    as_root scripts/apt-quiet "$PWD/.tools/apt-before" $1
    list_packages | LC_ALL=C comm -13 .tools/apt-before - >>.tools/apt-added
    rm .tools/apt-before
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
