# Sourced. Libraries of others that the webmail uses: fetched by npm, bundled into .tools/web.
# npm and Node are used here only; later starts need neither them nor the network.

web_there() { [ -f .tools/web/preact.js ]; }

make_web() {
    local key
    key=$(hash_of web-vendor/*)
    done_before web "$key" && web_there && return
    if web_there && (check_web .tools/web) 2>/dev/null; then # those of a former version: no network needed
        note_done web "$key"
        return
    fi
    say "fetching the libraries of the webmail with npm into .tools/web (20 MB, once)"
    rm -rf .tools/web.new
    mkdir -p .tools/web.new/out
    cp web-vendor/* .tools/web.new
    (cd .tools/web.new && quietly npm ci --ignore-scripts --no-audit --no-fund && quietly node build.mjs out)
    check_web .tools/web.new/out
    rm -rf .tools/web
    mv .tools/web.new/out .tools/web
    rm -rf .tools/web.new
    note_done web "$key"
}

# These files run in the browser of every user: nothing but what is listed is put in place.
check_web() { check_jars "$1" web-vendor/files.sha256; } # check_web FOLDER
