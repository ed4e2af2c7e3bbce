# Sourced. `make reset` and `make uninstall`; both ask first and end what runs.

state_folder() { printf '%s\n' "${POSTRIVER_HOME:-$PWD/.postriver}"; }

reset() {
    local home
    home=$(state_folder)
    [ -e "$home" ] || { say "$home: nothing there" && return; }
    [ -f "$home/version" ] || die 1 "$home is not a state folder of ours; nothing removed"
    confirm_removal "Delete $home: every mail, user and setting in it?"
    remove_state "$home"
}

uninstall() {
    local home
    home=$(state_folder)
    confirm_removal "Remove .venv, .tools and, if it is there, $home with every mail in it?"
    if [ -f "$home/version" ]; then remove_state "$home"; fi
    list_added
    rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
    say "removed. Left: what uv, Maven and npm keep in their caches (~/.cache/uv, ~/.m2, ~/.npm)"
    if is_root; then remove_copy_and_user; fi
}

confirm_removal() { # only a person at a terminal, or an explicit yes, may delete mail
    if ! [ -t 0 ] && [ "${POSTRIVER_ASSUME_YES:-}" != 1 ]; then
        die 2 "$1 Nobody to ask: say POSTRIVER_ASSUME_YES=1. Nothing removed"
    fi
    if [ "${POSTRIVER_ASSUME_YES:-}" != 1 ]; then
        confirm "$1" || die 1 "nothing removed"
    fi
}

remove_state() { # remove_state HOME
    if [ -x .venv/bin/postriver ]; then .venv/bin/postriver down >/dev/null; fi
    rm -rf "${1:?}"
    say "removed $1"
}

list_added() {
    [ -s .tools/apt-added ] || return 0
    say "packages that were added by apt, to be removed if nothing else needs them:"
    printf '  sudo apt purge %s\n' "$(sort -u .tools/apt-added | tr '\n' ' ')" >&2
}

remove_copy_and_user() {
    local name
    if [ -n "${POSTRIVER_CHECKOUT:-}" ]; then
        for name in .venv .postriver; do
            if [ -L "$POSTRIVER_CHECKOUT/$name" ]; then rm "$POSTRIVER_CHECKOUT/$name"; fi
        done
        case $PWD in "$COPIES"/* | "$OLD_COPIES"/*) rm -rf "$PWD" ;; esac
    fi
    rmdir "$COPIES" "$OLD_COPIES" 2>/dev/null || true
    say "the system user $SERVICE_USER is left; remove it with: userdel $SERVICE_USER"
}
