# Sourced. Mail servers of others, to which tests send: unpacked into .tools/peers, not installed.

PEERS="postfix exim4-daemon-light libnss-wrapper"

make_peers() {
    local key
    key="$(hash_of scripts/peers.sh) $(dpkg --print-architecture)"
    done_before peers "$key" && [ -x .tools/peers/usr/sbin/smtp-sink ] && return
    say "unpacking Postfix and Exim for tests into .tools/peers (10 MB, once)"
    rm -rf .tools/peers.new
    mkdir -p .tools/peers.new/debs
    fetch_peers 2>/dev/null || { quietly as_root apt-get update -q && quietly fetch_peers; } ||
        die 1 "cannot fetch packages with: apt-get download $PEERS"
    local package
    for package in .tools/peers.new/debs/*.deb; do dpkg-deb -x "$package" .tools/peers.new; done
    rm -rf .tools/peers.new/debs .tools/peers
    mv .tools/peers.new .tools/peers
    note_done peers "$key"
}

fetch_peers() { # with the libraries that they need and that are not installed
    # shellcheck disable=SC2046,SC2086 # lists of names
    (cd .tools/peers.new/debs && apt-get download -q $PEERS $(libraries_of_peers)) >/dev/null
}

libraries_of_peers() {
    local name
    # shellcheck disable=SC2086 # a list of names
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances $PEERS | grep -E '^lib[a-z0-9.+-]+$' | grep -v -e '-perl$' | sort -u | while read -r name; do
        dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -q '^installed' || echo "$name"
    done
}
