#!/bin/sh
# Installs what package-lock.json lists, beside this script. Exit status:
#   0   it is installed
#   69  it can't be had on this machine: no Node, no npm, or no registry that
#       answers. One line says which. (EX_UNAVAILABLE of sysexits.h)
#   1   anything else, such as a lock file that does not fit: npm's own words follow
set -u
cd "$(dirname "$0")" || exit 1

unavailable() {
	echo "npm packages can't be had: $1"
	exit 69
}

command -v node >/dev/null || unavailable "there is no node"
command -v npm >/dev/null || unavailable "there is no npm"

# The second time needs no network.
installed=node_modules/.installed-from
if cmp -s package-lock.json "$installed"; then
	echo "npm packages are installed"
	exit 0
fi

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
# npm's own retries take minutes.
if npm ci --no-audit --no-fund --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=30000 >"$log" 2>&1; then
	cp package-lock.json "$installed" || exit 1
	echo "npm packages are installed"
	exit 0
fi

code=$(sed -n 's/^npm \(error\|ERR!\) code //p' "$log" | head -n 1)
case $code in
ENOTFOUND | EAI_AGAIN | ECONNREFUSED | ECONNRESET | EHOSTUNREACH | ENETUNREACH | EPROTO | ETIMEDOUT | ENOTCACHED | \
	ERR_SOCKET_TIMEOUT | FETCH_ERROR | E401 | E403 | E407 | E429 | E5[0-9][0-9] | *CERT* | *ISSUER*)
	unavailable "the registry does not give them out ($code)"
	;;
esac
cat "$log"
exit 1
