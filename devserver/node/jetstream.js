'use strict';

// A Node service on JetStream, with the client of today:
//
//   node jetstream.js listen <stream> <consumer>
//   node jetstream.js publish <stream> < requests
//
// listen binds to a consumer that is there, as a member that shares it, prints
// {"ready":true} and a line for each message, and acknowledges it; it ends with
// its standard input. publish takes lines {subject, data, headers} and prints how
// many the stream has stored.

const readline = require('node:readline');
const { jetstream } = require('@nats-io/jetstream');
const { connect, headers } = require('@nats-io/transport-node');

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function listen(nc, stream, name) {
  const consumer = await jetstream(nc).consumers.get(stream, name);
  const messages = await consumer.consume({ max_messages: 8 });
  process.stdin.on('end', () => messages.close()).resume();
  process.on('SIGTERM', () => messages.close());
  print({ ready: true });
  for await (const m of messages) {
    const all = {};
    for (const key of m.headers?.keys() ?? []) {
      all[key] = m.headers.values(key);
    }
    // Before the acknowledgement, so that none is counted as handled that the test
    // does not get to know of.
    print({
      subject: m.subject,
      sequence: m.seq,
      redelivered: m.redelivered,
      raw: Buffer.from(m.data).toString('base64'),
      data: JSON.parse(m.string()),
      headers: all,
    });
    m.ack();
  }
}

async function publish(nc) {
  const js = jetstream(nc);
  let stored = 0;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { subject, data, headers: given } = JSON.parse(line);
    const h = headers();
    for (const [key, value] of Object.entries(given ?? {})) {
      h.set(key, value);
    }
    await js.publish(subject, JSON.stringify(data), given ? { headers: h } : {});
    stored += 1;
  }
  print({ stored });
}

async function main() {
  const [what, stream, name] = process.argv.slice(2);
  const nc = await connect({ servers: process.env.NATS_URL.replace('nats://', ''), name: process.env.NATS_CLIENT_ID });
  await (what === 'listen' ? listen(nc, stream, name) : publish(nc));
  await nc.drain();
  process.stdin.destroy(); // which the test holds open
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
