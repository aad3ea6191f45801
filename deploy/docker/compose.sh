#!/usr/bin/env bash
# Runs docker compose on docker-compose.yml, by whichever name this machine has
# it.
set -euo pipefail

file=$(cd "$(dirname "$0")/../.." && pwd)/docker-compose.yml
if docker compose version >/dev/null 2>&1; then
	exec docker compose --file "$file" "$@"
fi
exec docker-compose --file "$file" "$@"
