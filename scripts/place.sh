# Sourced. As root, mail is read by a user of its own, who must be able to read the code. A checkout in
# a private folder (/root) is copied to where that user can, and the work goes on in the copy.

make_service_user() {
    getent passwd "$SERVICE_USER" >/dev/null && return
    say "creating the system user $SERVICE_USER, who reads mail instead of root"
    useradd --system --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin "$SERVICE_USER"
}

service_can_read() { # the code, as a sample, and every folder above it
    as_service test -r "$1/pyproject.toml" -a -r "$1/stack/state_folder.py" -a -x "$1/stack" 2>/dev/null
}

copy_of() { # a folder per checkout, so that two of them stay apart
    local name
    name=$(basename "$1")-$(printf %s "$1" | sha256sum | cut -c1-8)
    if [ -d "$OLD_COPIES/$name" ]; then
        printf '%s/%s\n' "$OLD_COPIES" "$name"
    else
        printf '%s/%s\n' "$COPIES" "$name"
    fi
}

# Root runs what lies in the copy: who owns a folder above it could put another in its place.
only_root_writes_above() { # only_root_writes_above FOLDER
    local folder=$1
    while [ "$folder" != / ]; do
        folder=$(dirname "$folder")
        [ -e "$folder" ] || continue
        [ "$(stat -c %u "$folder")" = 0 ] && [ -z "$(find "$folder" -maxdepth 0 -perm -o+w)" ] ||
            die 1 "$folder can be changed by others than root, so no copy is run from $1." \
                "If a service keeps its state there, move the copy's .postriver elsewhere first"
    done
}

move_to_copy() { # move_to_copy TARGET: update the copy, go on there; does not return
    local here=$PWD copy
    [ -z "${POSTRIVER_CHECKOUT:-}" ] ||
        die 1 "user $SERVICE_USER cannot read the copy $here either: look at the folders above it"
    copy=$(copy_of "$here")
    only_root_writes_above "$copy"
    refresh_copy "$here" "$copy"
    link_back "$here" "$copy" .venv
    link_back "$here" "$copy" .postriver
    export POSTRIVER_CHECKOUT=$here
    exec make -C "$copy" "$1"
}

# What is made in the copy stays there; all else is replaced when it differs.
refresh_copy() { # refresh_copy FROM TO
    local fresh=$2/.fresh entry
    install -d -m 755 "$(dirname "$2")" "$2"
    rm -rf "$fresh"
    mkdir "$fresh"
    tar -C "$1" -c --exclude-vcs --exclude=./.venv --exclude=./.tools --exclude=./.postriver \
        --exclude=__pycache__ --exclude='./.*_cache' --exclude=./.hypothesis . |
        tar -C "$fresh" -x --no-same-owner
    chmod -R u=rwX,go=rX "$fresh"
    if ! diff -rq --no-dereference -x __pycache__ -x '.*_cache' -x .hypothesis -x .venv -x .tools \
        -x .postriver -x .fresh "$fresh" "$2" >/dev/null; then
        say "copying this checkout to $2, where user $SERVICE_USER can read it"
        find "$2" -mindepth 1 -maxdepth 1 ! -name .venv ! -name .tools ! -name .postriver \
            ! -name .fresh -exec rm -rf {} +
        find "$fresh" -mindepth 1 -maxdepth 1 -exec mv -t "$2" {} +
    fi
    rm -rf "$fresh"
}

link_back() { # link_back FROM TO NAME: the checkout's NAME is the copy's
    if [ -d "$1/$3" ] && ! [ -L "$1/$3" ]; then
        [ "$3" = .venv ] || return 0 # state of another user's start is nobody's to remove
        rm -rf "${1:?}/$3"
    fi
    ln -sfn "$2/$3" "$1/$3"
}
