#!/usr/bin/env bash
# Runs the tests with real Node clients. It needs node and npm, and installs the
# npm packages beside itself if they are not there yet.
set -euo pipefail

cd "$(dirname "$0")"
./install.sh
race=()
if [ -n "$(command -v "$(go env CC)")" ]; then
	race=(-race)
fi
GOWORK=off go test "${race[@]}" -count=1 -tags node .
