'use strict';

// What each Node service of the platform does around its publishers and
// listeners: connect with what its deployment says, and close on a signal.

const nats = require('node-nats-streaming');

function connect() {
  const stan = nats.connect(process.env.NATS_CLUSTER_ID, process.env.NATS_CLIENT_ID, { url: process.env.NATS_URL });
  stan.on('error', fail);
  stan.on('connection_lost', fail);
  stan.on('close', () => process.exit());
  process.on('SIGINT', () => stan.close());
  process.on('SIGTERM', () => stan.close());
  return new Promise((resolve) => stan.on('connect', () => resolve(stan)));
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

// print writes one line for the test, at once: a pipe is written synchronously.
function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

module.exports = { connect, fail, print };
