#!/usr/bin/env bash
# Runs the integration tests against the server of docker-compose.yml, on ports
# of its own, and takes it down again. It needs a docker engine (see engine.sh).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export NATS_PORT=${NATS_PORT:-14222} NATS_MONITOR_PORT=${NATS_MONITOR_PORT:-18222}
compose=("$here/compose.sh" --project-name common-test)

"$here/image.sh"
trap '"${compose[@]}" down' EXIT
"${compose[@]}" up -d
for _ in {1..100}; do # the image has no shell for a health check
	if curl --silent --fail --output /dev/null "http://127.0.0.1:$NATS_MONITOR_PORT/streaming/serverz"; then
		break
	fi
	sleep 0.1
done
NATS_URL=nats://127.0.0.1:$NATS_PORT NATS_MONITOR_URL=http://127.0.0.1:$NATS_MONITOR_PORT \
	make -C "$here/../.." test-integration
