#!/usr/bin/env bash
# Which lines the tests reach: a table by file, and by part with a bar under which this fails.
#
# Only the crates of this workspace are instrumented, by a wrapper around rustc, so nothing outside is built again.
# The compiler's profiles are read by the LLVM tools of its own major version: those of LLVM_BIN, of the toolchain
# (rustup component add llvm-tools), of the path, or on Debian and Ubuntu those of the distribution, unpacked below the
# target folder and installed nowhere. Lines of test modules do not count.
#
# STORIES=1 counts the stories of tests/, too, where the program itself runs; it takes as long as they do.
set -euo pipefail
cd "$(dirname "$0")/.."

bar=${BAR:-95}
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/coverage"
folder=$(cd "$target/coverage" && pwd)
cargo=${CARGO:-cargo}
packages=(-p gateway-domain -p gateway-auth -p gateway-transport -p gateway-server)
major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')

fits() { # fits FOLDER: are the tools there, of that version, and do they run
    [[ -x "$1/llvm-cov" && -x "$1/llvm-profdata" ]] &&
        "$1/llvm-cov" --version 2>/dev/null | grep -q "version $major\." && "$1/llvm-profdata" --help >/dev/null 2>&1
}

unpacked="$folder/llvm/usr/lib/llvm-$major/bin"
find_tools() {
    local place
    for place in "${LLVM_BIN:-}" "$(rustc --print sysroot)"/lib/rustlib/*/bin "/usr/lib/llvm-$major/bin" "$unpacked"; do
        # What was unpacked finds its library beside itself; the other tools are not disturbed by it.
        if LD_LIBRARY_PATH="$(libraries)" fits "$place"; then tools=$place && return; fi
    done
    return 1
}

libraries() { (shopt -s nullglob && printf '%s:' "$folder"/llvm/usr/lib/*-linux-gnu); }

if ! find_tools; then
    echo "unpacking llvm-$major of the distribution into $folder/llvm"
    mkdir -p "$folder/llvm"
    (cd "$folder/llvm" && apt-get download -q "llvm-$major" "libllvm$major" && for package in *.deb; do dpkg-deb -x "$package" .; done && rm -- *.deb) || true
    find_tools || {
        echo "no LLVM $major tools: run rustup component add llvm-tools, or name their folder in LLVM_BIN" >&2
        exit 1
    }
fi

wrapper="$folder/instrumented"
printf '#!/bin/sh\nexec "$@" -C instrument-coverage\n' >"$wrapper"
chmod +x "$wrapper"
export RUSTC_WORKSPACE_WRAPPER="$wrapper"
rm -rf "$folder/raw"
export LLVM_PROFILE_FILE="$folder/raw/%p-%m.profraw"
executables() { grep -o '"executable":"[^"]*"' | cut -d '"' -f 4 || true; }

if [[ -n "${STORIES:-}" ]]; then
    packages+=(-p gateway-tests)
    GATEWAY_PROGRAM=$("$cargo" build -p gateway --locked --message-format json | executables)
    export GATEWAY_PROGRAM
fi
"$cargo" test "${packages[@]}" --tests --locked --no-run
objects=()
while read -r executable; do objects+=(-object "$executable"); done < <(
    "$cargo" test "${packages[@]}" --tests --locked --no-run --quiet --message-format json | executables
    echo "${GATEWAY_PROGRAM:-}" | sed '/^$/d'
)
passed=true
"$cargo" test "${packages[@]}" --tests --locked --no-fail-fast || passed=false

LD_LIBRARY_PATH="$(libraries)${LD_LIBRARY_PATH:-}"
export LD_LIBRARY_PATH
# A process that was killed leaves half a profile: the others count.
"$tools/llvm-profdata" merge -sparse --failure-mode=all "$folder"/raw/*.profraw -o "$folder/all.profdata" 2>"$folder/merge.log"
"$tools/llvm-cov" export -format=lcov -instr-profile "$folder/all.profdata" "${objects[@]}" --sources crates apps >"$folder/lcov.info" 2>"$folder/export.log"

awk -v bar="$bar" -v root="$PWD/" -v stories="${STORIES:-}" '
    function part(file) {
        if (file ~ /^crates\/domain\//) return "domain"
        if (file ~ /^crates\/auth\//) return "auth"
        if (file ~ /^crates\/server\/src\/gate(\.rs|\/)/) return "gate"
        if (file ~ /^crates\/transport\/src\/(upgrade|query|credential|address|origin|close)\.rs$/) return "handshake"
        # Only a running gateway opens its doors.
        if (stories && file == "crates/server/src/http/door.rs") return "handshake"
        return "-"
    }
    # The tests of a file stand at its end.
    function tests_of(path,   line, n, found) {
        found = 1e9
        while ((getline line < path) > 0) { n++; if (line ~ /^#\[cfg\(test\)\]/) { found = n; break } }
        close(path)
        return found
    }
    function row(name, lines, missed, rest) { return sprintf("%-52s %6d %6d %7.2f %%  %s\n", name, lines, missed, lines ? 100 * (lines - missed) / lines : 100, rest) }
    /^SF:/ {
        path = substr($0, 4); file = path; sub(root, "", file)
        counts = file ~ /^(crates|apps)\/.*\/src\// && file !~ /\/tests\.rs$/
        if (counts && !(file in end)) { end[file] = tests_of(path); files[++many] = file }
    }
    /^DA:/ && counts {
        split(substr($0, 4), at, ",")
        if (at[1] >= end[file]) next
        key = file SUBSEP at[1]
        if (!(key in hits)) { hits[key] = 0; numbers[file] = numbers[file] " " at[1] }
        if (at[2] > hits[key]) hits[key] = at[2]
    }
    END {
        printf "%-52s %6s %6s %9s  %s\n", "file", "lines", "missed", "reached", "missed lines"
        for (i = 1; i <= many; i++) {
            file = files[i]; n = split(numbers[file], list, " "); missed = 0; which = ""
            for (j = 1; j <= n; j++) if (!hits[file SUBSEP list[j]]) { missed++; if (missed <= 12) which = which " " list[j]; else if (missed == 13) which = which " ..." }
            printf "%s", row(file, n, missed, which) | "sort"
            lines[part(file)] += n; lost[part(file)] += missed
        }
        close("sort")
        print ""
        split("domain auth gate handshake", parts, " ")
        for (i = 1; i <= 4; i++) {
            p = parts[i]; reached = lines[p] ? 100 * (lines[p] - lost[p]) / lines[p] : 0
            printf "%s", row(p, lines[p], lost[p], reached < bar ? "under " bar " %" : "")
            if (reached < bar) failed = 1
        }
        printf "%s", row("all else that was built", lines["-"], lost["-"], "")
        exit failed
    }
' "$folder/lcov.info"
if ! $passed; then
    echo "a test failed: what it would have reached is not in the table" >&2
    exit 1
fi
