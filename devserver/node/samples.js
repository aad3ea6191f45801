'use strict';

// The events of samples_test.go as a Node service has them, in the same order.
// Written twice on purpose: what one language makes of an event is compared with
// what the other says that it is.

const assert = require('node:assert');

const nasty =
  '\u2028\u2029"\\/<b>&amp;</b>\'\u0000\b\f\n\r\t\u001f\u007f\ufeff \u00e9 e\u0301 \u6f22 \u{1f600} \u{10ffff}';

// shared is sent in both directions.
const shared = [
  ['ticket:created', { id: 't1', version: 0, title: 'concert', price: 20, userId: 'u1' }],
  ['ticket:created', { id: nasty, version: Number.MAX_SAFE_INTEGER, title: nasty, price: 1e21, userId: nasty }],
  ['ticket:created', { id: 't3', version: 1, title: '', price: 1e-7, userId: 'u3' }],
  ['ticket:created', { id: 't4', version: 2, title: '1e21, -0 ,"price":-0,', price: 1e20, userId: 'u4' }],
  ['ticket:created', { id: 't5', version: 3, title: '\ud83d\ude00', price: 0.000001, userId: 'u5' }],
  ['ticket:created', { id: 't6', version: 4, title: 'sum', price: 0.1 + 0.2, userId: 'u6' }],
  ['ticket:created', { id: 't7', version: 5, title: 'most', price: Number.MAX_VALUE, userId: 'u7' }],
  ['ticket:created', { id: 't8', version: 6, title: 'least', price: Number.MIN_VALUE, userId: 'u8' }],

  ['ticket:updated', { id: 't1', version: 1, title: 'concert', price: 4.35, userId: 'u1', orderId: 'o1' }],
  ['ticket:updated', { id: 't1', version: 2, title: 'concert', price: 0, userId: 'u1' }],
  ['ticket:updated', { id: 't2', version: 3, title: nasty, price: 123456789.01, userId: 'u2', orderId: nasty }],

  [
    'order:created',
    {
      id: 'o1',
      version: 0,
      status: 'created',
      userId: 'u2',
      expiresAt: new Date(Date.UTC(2026, 10, 21, 3, 4, 5, 678)).toISOString(),
      ticket: { id: 't1', price: 20 },
    },
  ],
  [
    'order:created',
    {
      id: nasty,
      version: 9007199254740990,
      status: 'awaiting:payment',
      userId: nasty,
      expiresAt: new Date(Date.UTC(2024, 1, 29)).toISOString(),
      ticket: { id: nasty, price: 1e-7 },
    },
  ],
  [
    'order:created',
    {
      id: 'o3',
      version: 1,
      status: 'cancelled',
      userId: 'u3',
      expiresAt: new Date(0).toISOString(),
      ticket: { id: 't3', price: 1e21 },
    },
  ],
  [
    'order:created',
    {
      id: 'o4',
      version: 2,
      status: 'complete',
      userId: 'u4',
      expiresAt: new Date(Date.UTC(9999, 11, 31, 23, 59, 59, 999)).toISOString(),
      ticket: { id: 't4', price: 0 },
    },
  ],

  ['order:cancelled', { id: 'o1', version: 1, ticket: { id: 't1' } }],
  ['order:cancelled', { id: nasty, version: Number.MAX_SAFE_INTEGER, ticket: { id: nasty } }],

  ['expiration:complete', { orderId: 'o1' }],
  ['expiration:complete', { orderId: nasty }],

  ['payment:created', { id: 'p1', orderId: 'o1', stripeId: 'ch_1' }],
  ['payment:created', { id: nasty, orderId: nasty, stripeId: nasty }],
];

// fromGo is what is read of all that Go publishes.
const fromGo = [
  ...shared,
  ['ticket:created', { id: 't9', version: 0, title: 'minus nothing', price: 0, userId: 'u9' }],
  [
    'order:created',
    {
      id: 'o5',
      version: 0,
      status: 'created',
      userId: 'u5',
      expiresAt: '2026-11-20T22:04:05.999Z',
      ticket: { id: 't5', price: 0 },
    },
  ],
];

// fromNode is all that Node publishes: more than a Go service would, which
// validates.
const fromNode = [
  ...shared,
  ['ticket:created', { id: 't9', version: 0, title: 'minus nothing', price: -0, userId: 'u9' }],
  ['ticket:created', { id: 't10', version: 0, title: 'nobody sells it', price: 1, userId: '' }],
  ['ticket:created', { id: 't11', version: 0, title: 'half \ud83d a pair', price: 1, userId: '\ude00' }],
  ['ticket:created', { id: 't12', title: 'before there were versions', price: 1, userId: 'u12' }],
  [
    'ticket:created',
    {
      __v: 7,
      ID: 'wrong',
      Title: 'wrong',
      extra: { id: 'wrong', list: [1, null, { price: 2 }] },
      id: 't13',
      userId: 'u13',
      price: 1,
      title: 'more than is known, in another order',
      version: 0,
      last: null,
    },
  ],
  ['ticket:created', { id: 't14', version: 0, title: 'not a number', price: NaN, userId: 'u14' }],
  ['ticket:updated', { id: 't3', version: 1, title: 'free again', price: 1, userId: 'u3', orderId: undefined }],
  ['ticket:updated', { id: 't3', version: 2, title: 'free again', price: 1, userId: 'u3', orderId: null }],
  [
    'order:created',
    {
      id: 'o5',
      version: 0,
      status: 'refunded',
      userId: '',
      expiresAt: new Date(Date.UTC(2026, 10, 21)), // JSON.stringify does the rest
      ticket: { id: 't5', price: 1, title: 'extra' },
    },
  ],
];

// compare throws unless the payload is the event, and what a Node service would
// have published of it, to the byte.
function compare(payload, event) {
  assert.deepStrictEqual(JSON.parse(payload.toString()), event);
  const wanted = Buffer.from(JSON.stringify(event));
  assert.ok(payload.equals(wanted), `payload ${payload}, want ${wanted}`);
}

module.exports = { fromGo, fromNode, compare };
