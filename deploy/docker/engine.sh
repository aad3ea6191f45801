#!/usr/bin/env bash
# Sees to it that a docker engine answers, and docker compose with it:
#
#	engine.sh         uses the engine that answers, else starts one
#	engine.sh stop    ends the one it started (its network bridge and firewall
#	                  rules stay behind, as with every dockerd)
#
# It installs and starts things only when asked to, by CI=true or
# INSTALL_DOCKER=1, and then only as root on Debian. It ends with one line that
# says what came of it and with status
#
#	0  an engine answers
#	3  none does, and nothing was tried: not asked to, or not root on Debian
#	4  none does, although everything was tried
#
# so that a caller who can do without one can tell 3 and 4 from a failure.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin # where dockerd is, which not every shell looks into
state=$(cd "$(dirname "$0")/../.." && pwd)/data/docker
pidfile=$state/dockerd.pid
log=$state/dockerd.log

answers() { timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
composes() { docker compose version >/dev/null 2>&1 || docker-compose version >/dev/null 2>&1; }

# The pid of the dockerd this script started, if that still runs.
ours() {
	local pid
	pid=$(cat "$pidfile" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] && echo "$pid"
}

# Says which engine answers.
report() {
	local pid
	pid=$(ours || true)
	echo "docker engine answers${pid:+ (started here, pid $pid)}"
}

stop() {
	local pid
	if ! pid=$(ours); then
		echo "no docker engine of this script runs"
		return
	fi
	kill "$pid"
	for _ in {1..120}; do
		if ! ours >/dev/null; then
			rm -rf "$(cat "$state/exec-root")" || true
			echo "docker engine stopped (pid $pid)"
			return
		fi
		sleep 0.5
	done
	echo "docker engine does not stop (pid $pid)" >&2
	return 1
}

install_missing() {
	local packages=()
	answers || command -v dockerd >/dev/null || packages+=(docker.io)
	composes || packages+=(docker-compose)
	[ ${#packages[@]} -gt 0 ] || return 0
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# From Debian 13 on the client is a package of its own.
	command -v docker >/dev/null || ! apt-cache show docker-cli >/dev/null 2>&1 || packages+=(docker-cli)
	apt-get install -qq -y --no-install-recommends "${packages[@]}"
}

# start runs dockerd with the given flags until it answers or gives up. One that
# was killed leaves files behind by whose process ids, which others may have by
# now, the next one would take them for itself; hence the new exec root.
start() {
	rm -f "$pidfile"
	mktemp -d >"$state/exec-root"
	setsid dockerd --pidfile "$pidfile" --exec-root "$(cat "$state/exec-root")" "$@" \
		>"$log" 2>&1 </dev/null &
	for _ in {1..120}; do
		if answers; then
			return
		fi
		kill -0 $! 2>/dev/null || return 1
		sleep 0.5
	done
	kill $! 2>/dev/null || true
	wait $! 2>/dev/null || true # it must be gone before the next one can start
	return 1
}

case "${1:-}" in
stop)
	stop
	exit
	;;
'') ;;
*)
	echo "usage: $0 [stop]" >&2
	exit 2
	;;
esac

if answers && composes; then
	report
	exit
fi
if [ "${CI:-}" != true ] && [ "${INSTALL_DOCKER:-}" != 1 ]; then
	echo "no docker engine with compose answers: start one, or set INSTALL_DOCKER=1 to have it done on Debian as root" >&2
	exit 3
fi
if [ "$(id -u)" != 0 ] || [ ! -e /etc/debian_version ] || { [ -n "${DOCKER_HOST:-}" ] && ! answers; }; then
	echo "no docker engine with compose answers, and this script starts one only as root on Debian and with no DOCKER_HOST set" >&2
	exit 3
fi

mkdir -p "$state"
if ! install_missing >"$state/install.log" 2>&1; then
	echo "docker cannot be had: its Debian packages could not be installed (data/docker/install.log)" >&2
	exit 4
fi
# Where services run, the package has started it already. Else it's started here:
# first as it is; then, for a kernel without NAT or overlay filesystems, without
# either. Published ports work both ways, as docker's own proxy listens on them.
if answers || start || start --iptables=false --storage-driver=vfs; then
	report
	exit
fi
echo "docker cannot run on this machine: dockerd does not start (data/docker/dockerd.log)" >&2
exit 4
