// Which addresses are public, and that a name is looked up once: what was checked is what is connected to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPublic, publicLookup, requirePublic } from './addresses.mjs';

test('addresses of the public internet', () => {
  for (const address of [
    '1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0',
    '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.0', '192.167.255.255', '192.169.0.0',
    '198.17.255.255', '198.20.0.0', '223.255.255.255',
    '2001:200::1', '2606:4700:4700::1111', '2a00:1450:4001:82b::200e', '3ffe:ffff::1',
    '::ffff:1.1.1.1', '::FFFF:101:101', '64:ff9b::8.8.8.8',
  ]) assert.equal(isPublic(address), true, address);
});

test('addresses that are not', () => {
  for (const address of [
    '0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.0', '100.127.255.255', '127.0.0.1', '127.255.255.254',
    '169.254.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.88.99.1', '192.168.0.1',
    '198.18.0.1', '198.19.255.255', '198.51.100.7', '203.0.113.7', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255',
    '::', '::1', '::7f00:1', '::127.0.0.1', 'fc00::1', 'fd12:3456:789a::1', 'fe80::1', 'fe80::1%eth0', 'febf::1', 'fec0::1', 'ff02::1',
    '2001::1', '2001:0:53aa:64c::1', '2001:1ff::1', '2001:db8::1', '2002:7f00:1::1', '2002:0808:0808::1', '3fff::1', '4000::1', '100::1',
    '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::FFFF:A9FE:A9FE', '0:0:0:0:0:ffff:c0a8:1', '::ffff:0.0.0.0',
    '::ffff:0:127.0.0.1', '64:ff9b::127.0.0.1', '64:ff9b::a00:1', '64:ff9b:1::8.8.8.8',
    '', 'localhost', '1.1.1', '1.1.1.1.1', '[::1]', '2606:4700:4700::1111%eth0', undefined,
  ]) assert.equal(isPublic(address), false, String(address));
});

test('the hostname of a URL, however it is written', () => {
  for (const host of ['127.1', '0x7f.0.0.1', '2130706433', '0177.0.0.1', '127.0.0.1.', '[::1]', '[::ffff:127.0.0.1]', '[0:0::0:1]', '①②⑦.⓪.⓪.①']) {
    assert.throws(() => requirePublic(new URL(`http://${host}/`).hostname), { message: 'its address is private, and allow_private is not set' }, host);
  }
  for (const host of ['1.1.1.1', '[2606:4700:4700::1111]', 'localhost', 'hooks.example.com']) requirePublic(new URL(`https://${host}/`).hostname);
});

// found(addresses, options): what publicLookup calls back with, when the resolver answers these.
const found = (addresses, options = { all: true }) => new Promise((done) => {
  const resolve = (hostname, { all }, callback) => {
    assert.deepEqual([hostname, all], ['hooks.example.com', true]);
    if (addresses instanceof Error) callback(addresses);
    else callback(null, addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
  };
  publicLookup(resolve)('hooks.example.com', options, (error, ...answer) => done(error ? error.message : answer));
});

test('a name must have public addresses only', async () => {
  assert.deepEqual(await found(['1.1.1.1', '2606:4700::1']), [[{ address: '1.1.1.1', family: 4 }, { address: '2606:4700::1', family: 6 }]]);
  assert.deepEqual(await found(['2606:4700::1', '1.1.1.1'], { all: false }), ['2606:4700::1', 6]);
  for (const addresses of [['127.0.0.1'], ['1.1.1.1', '10.0.0.1'], ['1.1.1.1', '::1'], ['fe80::1%2'], []]) {
    for (const options of [{ all: true }, {}]) {
      assert.equal(await found(addresses, options), 'its address is private, and allow_private is not set', addresses.join());
    }
  }
  assert.equal(await found(new Error('getaddrinfo ENOTFOUND')), 'getaddrinfo ENOTFOUND');
});
