// The cause of a request that got no response, by the errors of Node and Deno. What real servers make of it is tested in
// monitor.test.mjs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causeOf } from './cause.mjs';

const coded = (code) => Object.assign(new Error('x'), { code });

for (const [cause, codes] of Object.entries({
  dns: ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA'],
  connect: ['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EHOSTUNREACH', 'ENETUNREACH', 'EPIPE', 'EACCES', 'UND_ERR_SOCKET'],
  tls: ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CERT_REVOKED', 'CRL_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'HOSTNAME_MISMATCH', 'INVALID_PURPOSE', 'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'EPROTO'],
  timeout: ['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'],
  other: ['HPE_INVALID_CONSTANT', 'UND_ERR_HEADERS_OVERFLOW', 'EMFILE', 'ESOMETHING_NEW', 'ENOTFOUND_AT_ALL'],
})) {
  test(`${cause}: ${codes.join(', ')}, at any depth`, () => {
    for (const code of codes) {
      assert.equal(causeOf(coded(code)), cause, code);
      assert.equal(causeOf(new TypeError('fetch failed', { cause: coded(code) })), cause, code);
      assert.equal(causeOf(new TypeError('fetch failed', { cause: new AggregateError([coded(code), coded(code)]) })), cause, code);
    }
  });
}

test('the limit of the monitor is a timeout, wherever it is', () => {
  const late = new DOMException('no answer within 400 ms', 'TimeoutError');
  assert.equal(causeOf(late), 'timeout');
  assert.equal(causeOf(new TypeError('fetch failed', { cause: late })), 'timeout');
  assert.equal(causeOf(new DOMException('aborted', 'AbortError')), 'timeout');
});

test('of several errors the first that is known decides', () => {
  assert.equal(causeOf(new AggregateError([coded('ECONNREFUSED'), coded('ETIMEDOUT')])), 'connect');
  assert.equal(causeOf(new AggregateError([new Error('x'), coded('ETIMEDOUT')])), 'timeout');
  assert.equal(causeOf(Object.assign(new Error('x', { cause: coded('ENOTFOUND') }), { code: 'ESOMETHING_NEW' })), 'dns');
});

test('whatever is thrown, there is a cause', () => {
  const circle = new Error('outer');
  circle.cause = new Error('inner', { cause: circle });
  for (const error of [undefined, null, 'ENOTFOUND', 7, {}, { code: 5 }, { errors: 5 }, new Error('ENOTFOUND'), circle]) assert.equal(causeOf(error), 'other');
});

test('what Deno says, in words or with a code', () => {
  const deno = (words) => new TypeError(`error sending request for url (https://host/): client error (Connect): ${words}`);
  for (const [words, cause] of [
    ['tcp connect error: Connection refused (os error 111)', 'connect'],
    ['tcp connect error: Network is unreachable (os error 101)', 'connect'],
    ['tcp connect error: No route to host (os error 113)', 'connect'],
    ['tcp connect error: Connection timed out (os error 110)', 'timeout'],
    ['connection error: Connection reset by peer (os error 104)', 'connect'],
    ['connection closed before message completed', 'connect'],
    ['tls handshake eof', 'connect'],
    ['dns error: failed to lookup address information: Name or service not known', 'dns'],
    ['dns error: failed to lookup address information: Temporary failure in name resolution', 'dns'],
    ['invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))', 'tls'],
    ['invalid peer certificate: UnknownIssuer', 'tls'],
    ['invalid peer certificate: SomethingNew', 'tls'],
    ['received corrupt message of type InvalidContentType', 'tls'],
    ['received fatal alert: HandshakeFailure', 'tls'],
    ['invalid HTTP version parsed', 'other'],
  ]) assert.equal(causeOf(deno(words)), cause, words);
  assert.equal(causeOf(Object.assign(deno('something new'), { code: 'ECONNREFUSED' })), 'connect');
});
