#!/usr/bin/env bash
# Sees to it that the docker engine has the image that docker-compose.yml runs:
# keeps the one it has, else pulls it, else builds it from the Go module that
# devserver/go.mod pins. With --build it builds it in any case.
set -euo pipefail

module=github.com/nats-io/nats-streaming-server
version=0.25.6
image=nats-streaming:$version
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" != --build ]; then
	if docker image inspect "$image" >/dev/null 2>&1; then
		echo "$image is there"
		exit
	fi
	if timeout 300 docker pull --quiet "$image" >/dev/null 2>&1; then
		echo "$image was pulled"
		exit
	fi
fi

cd "$here/../../devserver"
export GOWORK=off # what go.mod pins, not what the workspace makes of it
pinned=$(go list -m -f '{{.Version}}' "$module")
if [ "$pinned" != "v$version" ]; then
	echo "devserver/go.mod has $module $pinned: this script and docker-compose.yml expect v$version" >&2
	exit 1
fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
# Static, because nothing else is in the image; for the engine's processor, which
# on some machines is not that of the Go toolchain.
GOARCH=$(docker version --format '{{.Server.Arch}}') GOOS=linux CGO_ENABLED=0 \
	go build -trimpath -ldflags='-s -w' -o "$context/nats-streaming-server" "$module"
# Its output is shown only when it fails: the builder of some clients warns about
# itself at every build.
if ! output=$(docker build --tag "$image" --file "$here/Dockerfile" "$context" 2>&1); then
	echo "$output" >&2
	exit 1
fi
echo "$image was built"
