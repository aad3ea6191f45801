# What there is to run. `make demo` and `make test` need Go, make and git alone.

MODULES := . devserver bench

# The race detector needs a C compiler. REQUIRE_RACE=1 makes its absence an error.
CC_FOUND := $(shell command -v $$(go env CC))
RACE := $(if $(CC_FOUND),-race)

# Each module is tested as an importer gets it, not as the workspace makes it.
GOTEST := GOWORK=off $(if $(CC_FOUND),CGO_ENABLED=1) go test $(RACE)

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help demo demo-jetstream server test race-mode test-integration test-conformance test-docker test-node test-cluster test-order test-churn simulate test-faults soak fuzz lint bench bench-quick bench-json

# built builds a command of devserver. The first time Go fetches its modules and compiles
# both servers, so that it says what is going on: -v names each package that is compiled.
built = echo "building bin/$(1): the first time Go downloads modules and compiles two servers, which takes a minute or two" && \
	(cd devserver && GOWORK=off go build -v -o ../bin/$(1) ./cmd/$(1)) && echo "bin/$(1) is built"

# A pipe fails with what is piped, not with what reads it.
test-conformance test-faults test-churn soak: SHELL := bash
test-conformance test-faults test-churn soak: .SHELLFLAGS := -o pipefail -c

help: ## what there is to run
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | expand -t 20

demo: ## the ticketing story on a server of its own that is killed in the middle: nothing is lost
	@$(call built,demo)
	@bin/demo

demo-jetstream: ## the same on JetStream
	@$(call built,demo)
	@bin/demo -jetstream

server: ## NATS Streaming and JetStream on port 4222, cluster ID ticketing, monitoring on 8222
	@$(call built,server)
	@bin/server

test: race-mode ## unit and integration tests of all modules
	@for m in . devserver; do (cd $$m && echo "== module $$m" && $(GOTEST) ./...) || exit 1; done
	@echo "== what hot paths allocate, which the race detector would change" && GOWORK=off go test -run '^TestAllocations$$' ./codec ./publisher ./listener ./transport/jetstream ./transport/internal/outbox
	@cd bench && echo "== module bench, without what takes minutes (make bench-json)" && $(GOTEST) -short ./...

race-mode:
ifeq ($(CC_FOUND),)
	@echo "testing without the race detector: it needs a C compiler, and $$(go env CC) is not found"
	@[ -z "$(REQUIRE_RACE)" ]
else
	@echo "testing with the race detector (C compiler: $(CC_FOUND))"
endif

test-integration: race-mode ## the tests against a real server alone: the embedded one, or NATS_URL=nats://...
	@cd devserver && $(GOTEST) -count=1 ./integration

test-conformance: ## the conformance suite on all transports, and how many cases ran on each
	@GOWORK=off go test -count=1 -v -run '^TestConformance' ./transport/memory | grep -E 'cases ran|^(---|ok|FAIL)'
	@cd devserver && GOWORK=off go test -count=1 -v -run '^TestConformance' ./integration | grep -E 'cases ran|^(---|ok|FAIL)'

test-docker: ## the tests against a real server, against one in a container; needs a docker engine
	@deploy/docker/test.sh

test-node: ## with real Node clients in the same queue groups; needs node and npm
	@devserver/node/test.sh

test-cluster: race-mode ## clusters lose their leaders, under load and in a trace; takes elections, so it is not in make test
	@# Without the race detector: nats-streaming-server, which is not developed any more, has a race of its own when a leader
	@# is elected (sendMsgToQueueGroup and processReplicatedSendAndAck). The other tests of this code run with it.
	@cd devserver && GOWORK=off go test -count=1 -v -tags cluster -run '^TestStreamingCluster' ./integration
	@cd devserver && $(GOTEST) -count=1 -v -tags cluster -run '^TestJetStreamTracesAreTheRealServers$$/leader' ./simtrace

test-faults: race-mode ## each fault at its real length, the library beside raw stan.go, as a table; a missed goal fails
	@cd devserver && $(GOTEST) -count=1 -v -timeout 30m ./faults -full | grep -v '^=== '

MINUTES ?= 10
soak: race-mode ## random faults without pause for MINUTES=10, under load; SEED=n repeats them, TRANSPORT=jetstream is one alone
	@cd devserver && $(GOTEST) -count=1 -v -timeout 0 -run '^TestSoak' ./faults -soak $(MINUTES)m \
		$(if $(SEED),-seed $(SEED)) $(if $(TRANSPORT),-transport $(TRANSPORT)) | grep -v '^=== '

test-order: ## 100,000 events, 16 workers, one attempt in twenty fails: order by key on all three transports
	@GOWORK=off EVENTS=100000 go test -count=1 -v -timeout 10m -run '^TestOrderUnderFailures' ./listener | grep -v '^=== '
	@cd devserver && GOWORK=off EVENTS=100000 go test -count=1 -v -timeout 10m -run '^TestOrderUnderFailures' ./integration | grep -v '^=== '

test-churn: race-mode ## 50 members of a group come and go at random while 20,000 events are handled (EVENTS=n)
	@cd devserver && EVENTS=$${EVENTS:-20000} $(GOTEST) -count=1 -v -timeout 30m -run '^TestJetStreamMembersComeAndGo$$' ./integration | grep -v '^=== '

simulate: ## 20,000 seeds of each simulation: sessions, outboxes, JetStream subscriptions, listeners (SEEDS=n; SEED=n for one, with its story)
	@SEEDS=$${SEEDS:-20000} GOWORK=off go test -count=1 -v -run '^TestSimulation$$' ./transport/stan ./transport/internal/outbox ./transport/jetstream/internal/consuming ./listener/internal/schedule

fuzz: ## a minute for each fuzz test
	@for p in ./subjects:FuzzParse ./codec:FuzzDecode ./codec:FuzzEncode ./codec:FuzzPlain ./codec:FuzzReadPlain ./codec:FuzzWritesAsStandard ./codec:FuzzReadsAsStandard ./listener:FuzzPayload ./events:FuzzDeadLetter ./deadletter:FuzzRedrive ./transport/jetstream:FuzzOrigin ./transport/jetstream:FuzzConsumerName; do \
		GOWORK=off go test $${p%%:*} -run '^$$' -fuzz "^$${p##*:}$$" -fuzztime 60s || exit 1; done

lint: ## the linters, on all modules, and that they are tidy
	@for m in $(MODULES); do (cd $$m && echo "== module $$m" && \
		GOWORK=off go mod tidy -diff && \
		GOWORK=off go run $(GOLANGCI_LINT) run --build-tags node,cluster --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

bench: ## what an event costs, beside the raw clients and watermill: bench/RESULTS.md and its plot; some minutes
	@cd bench && GOWORK=off go run ./contest -report RESULTS.md -plot results.svg

bench-quick: ## the same in under two minutes, printed
	@cd bench && GOWORK=off go run ./contest -rounds 3 -scale 0.4

bench-json: ## the contest of the JSON libraries
	@cd bench && $(GOTEST) ./json && GOWORK=off go test -run '^$$' -bench . -benchmem ./json
