'use strict';

// A Node service on JetStream, with the client of today. The stream is called as
// the cluster is:
//
//   node jetstream.js read
//   node jetstream.js listen [--refuse] <consumer>
//   node jetstream.js publish [--samples] < requests
//
// read reads the whole stream by itself, and compares each event with that of its
// place in fromGo of samples.js. listen shares a consumer that is there with
// whoever else does, and acknowledges each event, or none with --refuse. Both print
// and end as listen.js does, and print headers as well. publish is publish.js, whose
// requests may have headers; without any, the message has none.

const readline = require('node:readline');
const { parseArgs } = require('node:util');
const { jetstream } = require('@nats-io/jetstream');
const { connect, headers } = require('@nats-io/transport-node');

const samples = require('./samples');
const { fail, print } = require('./service');

const {
  values: args,
  positionals: [command, name],
} = parseArgs({ allowPositionals: true, options: { samples: { type: 'boolean' }, refuse: { type: 'boolean' } } });

const stream = process.env.NATS_CLUSTER_ID;

// receive hands the messages of a consumer to handle until a signal.
async function receive(consumer, handle) {
  const messages = await consumer.consume({ max_messages: 8 });
  process.on('SIGINT', () => messages.close());
  process.on('SIGTERM', () => messages.close());
  // The test holds the other end open as long as it lives: no member outlives it.
  process.stdin.on('end', () => messages.close()).resume();
  print({ ready: true });
  for await (const msg of messages) {
    let data;
    let problem;
    try {
      data = msg.json();
      handle(msg);
    } catch (error) {
      problem = error.message;
    }
    // Before the acknowledgement, as in listen.js.
    print({
      subject: msg.subject,
      sequence: msg.seq,
      redelivered: msg.redelivered,
      raw: Buffer.from(msg.data).toString('base64'),
      data,
      problem,
      headers: Object.fromEntries((msg.headers?.keys() ?? []).map((key) => [key, msg.headers.values(key)])),
    });
    if (!args.refuse) {
      msg.ack();
    }
  }
}

function compare(msg) {
  const [subject, want] = samples.fromGo[msg.seq - 1];
  if (msg.subject !== subject) {
    throw new Error(`subject ${msg.subject}, want ${subject}`);
  }
  samples.compare(Buffer.from(msg.data), want);
}

async function publish(js) {
  const stored = [];
  if (args.samples) {
    samples.fromNode.forEach(([subject, data]) => stored.push(js.publish(subject, JSON.stringify(data))));
  }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { subject, data, headers: given } = JSON.parse(line);
    const options = {};
    if (given) {
      options.headers = headers();
      Object.entries(given).forEach(([key, value]) => options.headers.set(key, value));
    }
    stored.push(js.publish(subject, JSON.stringify(data), options));
  }
  await Promise.all(stored);
  print({ stored: stored.length });
}

async function main() {
  const nc = await connect({ servers: process.env.NATS_URL, name: process.env.NATS_CLIENT_ID });
  const js = jetstream(nc);
  switch (command) {
    case 'read':
      await receive(await js.consumers.get(stream), compare);
      break;
    case 'listen':
      await receive(await js.consumers.get(stream, name), () => {});
      break;
    case 'publish':
      await publish(js);
      break;
    default:
      throw new Error(`no such command: ${command}`);
  }
  await nc.drain(); // with the acknowledgements
  process.exit();
}

main().catch(fail);
