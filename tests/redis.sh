#!/usr/bin/env bash
# Installs redis-server and redis-sentinel where they are missing. Debian's packages start a service as they are installed:
# for as long as that takes, a policy says that nothing is to be started. The tests start servers of their own.
set -euo pipefail

if command -v redis-server >/dev/null 2>&1 && command -v redis-sentinel >/dev/null 2>&1; then exit 0; fi
if [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null 2>&1; then
    echo "redis-server or redis-sentinel is missing: install Redis 7 or later, the tests start their own" >&2
    exit 1
fi
echo "Redis is missing: installing redis-server and redis-sentinel"
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server redis-sentinel
