'use strict';

// Listens as a member of a queue group, until a signal:
//
//   node listen.js --group <name> [--durable <name>] [--ack-wait <ms>] [--samples] [--refuse] <subject>...
//
// prints {"ready":true} once it has joined for all subjects, and a line for each
// event that comes. "problem" is why the payload can't be parsed or, with
// --samples, how the event differs from that of its place in fromGo of samples.js.
//
// The durable's name is that of the group, unless --durable gives another.
//
// Every event is acknowledged, but for --refuse: then none is, as when a handler
// throws because it can't do anything with the event yet.

const { parseArgs } = require('node:util');

const samples = require('./samples');
const { connect, fail, print } = require('./service');

const { values: args, positionals: subjects } = parseArgs({
  allowPositionals: true,
  options: {
    group: { type: 'string' },
    durable: { type: 'string' },
    'ack-wait': { type: 'string', default: '5000' },
    samples: { type: 'boolean' },
    refuse: { type: 'boolean' },
  },
});

function listen(stan, subject) {
  const options = stan
    .subscriptionOptions()
    .setManualAckMode(true)
    .setDeliverAllAvailable()
    .setAckWait(Number(args['ack-wait']))
    .setDurableName(args.durable ?? args.group);
  const subscription = stan.subscribe(subject, args.group, options);
  subscription.on('error', fail);
  subscription.on('timeout', fail);
  subscription.on('message', (msg) => {
    let data;
    let problem;
    try {
      data = JSON.parse(msg.getData());
      if (args.samples) {
        compare(msg);
      }
    } catch (error) {
      problem = error.message;
    }
    // Before the acknowledgement, so that none is counted as handled that the
    // test does not get to know of.
    print({
      subject: msg.getSubject(),
      sequence: msg.getSequence(),
      redelivered: msg.isRedelivered(),
      raw: msg.getRawData().toString('base64'),
      data,
      problem,
    });
    if (!args.refuse) {
      msg.ack();
    }
  });
  return new Promise((resolve) => subscription.on('ready', resolve));
}

// compare throws unless the event is the sample that was published at its place.
function compare(msg) {
  const published = samples.fromGo.filter(([subject]) => subject === msg.getSubject());
  const [, want] = published[msg.getSequence() - 1];
  samples.compare(msg.getRawData(), want);
}

async function main() {
  const stan = await connect();
  // The test holds the other end open as long as it lives: no member outlives it.
  process.stdin.on('end', () => stan.close()).resume();
  await Promise.all(subjects.map((subject) => listen(stan, subject)));
  print({ ready: true });
}

main().catch(fail);
