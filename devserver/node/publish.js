'use strict';

// Publishes, then ends:
//
//   node publish.js [--samples] < requests
//
// --samples publishes fromNode of samples.js. A request is a line of JSON: a
// subject with an event as "data", or with a payload that is none, as "text" or,
// in base64, as "bytes". How many the server has stored is printed at the end.

const readline = require('node:readline');
const { parseArgs } = require('node:util');

const samples = require('./samples');
const { connect, fail, print } = require('./service');

const { values: args } = parseArgs({ options: { samples: { type: 'boolean' } } });

async function main() {
  const stan = await connect();
  const stored = [];
  const publish = (subject, payload) => {
    stored.push(
      new Promise((resolve, reject) => {
        stan.publish(subject, payload, (error) => (error ? reject(error) : resolve()));
      }),
    );
  };

  if (args.samples) {
    samples.fromNode.forEach(([subject, data]) => publish(subject, JSON.stringify(data)));
  }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { subject, data, text, bytes } = JSON.parse(line);
    if (data !== undefined) {
      publish(subject, JSON.stringify(data));
    } else {
      publish(subject, text !== undefined ? text : Buffer.from(bytes, 'base64'));
    }
  }

  await Promise.all(stored);
  print({ stored: stored.length });
  stan.close();
}

main().catch(fail);
