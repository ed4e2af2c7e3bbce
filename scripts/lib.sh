# Sourced by the scripts beside it: words for the operator, who we are, which Python.

SERVICE_USER=postriver
COPIES=/usr/local/lib/postriver # copies of checkouts that the service user cannot read
OLD_COPIES=/var/lib/postriver   # where former versions made them; one that is there is kept

say() { printf 'postriver: %s\n' "$*" >&2; }

die() { # die STATUS WORDS...
    local status=$1
    shift
    printf 'postriver: %s\n' "$*" >&2
    exit "$status"
}

is_root() { [ "$(id -u)" -eq 0 ]; }

unattended() { [ "${CI:-}" = true ] || [ "${POSTRIVER_ASSUME_YES:-}" = 1 ]; }

quietly() { # quietly COMMAND...: what it says is shown when it fails
    local said
    if said=$("$@" 2>&1); then return; fi
    printf '%s\n' "$said" >&2
    return 1
}

confirm() { # confirm QUESTION: yes, or nobody to ask
    unattended && return 0
    if ! [ -t 0 ]; then
        is_root
        return
    fi
    local answer
    read -r -p "$1 [y/N] " answer
    [[ $answer =~ ^[Yy] ]]
}

as_service() { # as_service COMMAND...: the command as the user who will read mail
    if is_root; then
        setpriv --reuid="$SERVICE_USER" --regid="$SERVICE_USER" --clear-groups -- "$@"
    else
        "$@"
    fi
}

# The first Python that is new enough, has venv, and can be run by the user who will read mail.
# Debian's own comes first: others often live in somebody's private folder.
find_python() {
    local name path
    for name in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        path=$(command -v "$name") || continue
        path=$("$path" -c 'import sys; print(sys.executable)' 2>/dev/null) || continue
        if as_service "$path" -c 'import sys, venv, ensurepip
raise SystemExit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            printf '%s\n' "$path"
            return
        fi
    done
    return 1
}

hash_of() { cat -- "$@" | sha256sum | cut -c1-16; }

done_before() { [ "$(cat ".tools/stamps/$1" 2>/dev/null)" = "$2" ]; } # done_before STEP KEY

note_done() { # note_done STEP KEY
    mkdir -p .tools/stamps
    printf '%s\n' "$2" >".tools/stamps/$1"
}
