#!/usr/bin/env bash
# Runs the integration tests against the server of docker-compose.yml, on ports
# of its own, and takes it down again. It asks for a docker engine first, before
# anything is built (see engine.sh, whose status it ends with where there is none).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export NATS_PORT=${NATS_PORT:-14222} NATS_MONITOR_PORT=${NATS_MONITOR_PORT:-18222}
compose=("$here/compose.sh" --project-name common-test)

"$here/engine.sh"
echo "looking for the server's image; where it can't be pulled it is built, which takes a minute or two"
"$here/image.sh"
trap '"${compose[@]}" down' EXIT
"${compose[@]}" up -d
answers=
for _ in {1..600}; do # the image has no shell for a health check
	if curl --silent --fail --output /dev/null "http://127.0.0.1:$NATS_MONITOR_PORT/streaming/serverz"; then
		answers=1
		break
	fi
	sleep 0.1
done
if [ -z "$answers" ]; then
	echo "the server in the container does not answer on port $NATS_MONITOR_PORT after a minute" >&2
	exit 1
fi
NATS_URL=nats://127.0.0.1:$NATS_PORT NATS_MONITOR_URL=http://127.0.0.1:$NATS_MONITOR_PORT \
	make -C "$here/../.." test-integration
