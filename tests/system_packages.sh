#!/usr/bin/env bash
# Installs what some tests need beside Python, PostgreSQL, Chromium, a C++ compiler and make, where this is a Debian and
# we are root. Elsewhere, or without a network, those tests skip and say what is missing.
set -euo pipefail

wanted=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
    || wanted+=(chromium)
command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || wanted+=(g++)
command -v make >/dev/null || wanted+=(make)

if [ "${#wanted[@]}" -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed: ${wanted[*]}; the tests that need them skip" >&2
    exit 0
fi

log=$(mktemp)
echo "installing ${wanted[*]} for the tests" >&2
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && apt-get install --yes --no-install-recommends "${wanted[@]}"; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "could not install ${wanted[*]} (whole output: $log); the tests that need them skip" >&2
    exit 0
fi
rm "$log"
