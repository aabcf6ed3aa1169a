// What members read of an error holds no secret of the configuration.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causes, clean, tell, Told } from './texts.mjs';

test('of a foreign error only the code is told, wherever it is', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:8443'), { code: 'ECONNREFUSED' });
  const told = 'ECONNREFUSED: the connection was refused';
  assert.equal(tell(refused), told);
  assert.equal(tell(new TypeError('fetch failed', { cause: refused })), told);
  assert.equal(tell(new TypeError('fetch failed', { cause: new AggregateError([refused]) })), told);
  assert.equal(tell(new TypeError('fetch failed', { cause: new AggregateError([new Error('x'), refused]) })), told);
  assert.equal(tell(Object.assign(new Error('x'), { code: 'ESOMETHING_NEW' })), 'ESOMETHING_NEW: the request failed');
  assert.equal(tell(new TypeError('Request cannot be constructed from a URL that includes credentials: http://user:secret@host/')), 'the request failed');
  for (const nothing of [undefined, null, 'text', 7, { code: 'secret code' }, { code: 5 }, { errors: 5 }]) assert.equal(tell(nothing), 'the request failed');
  assert.equal(tell(new DOMException('late', 'TimeoutError')), 'no answer in time');
  const circle = new Error('outer');
  circle.cause = new Error('inner', { cause: circle });
  assert.equal(tell(circle), 'the request failed');
});

test('a Told is told, without what URLs hold of secrets, and as the database takes it', () => {
  assert.equal(tell(new Told('HTTP 503')), 'HTTP 503');
  assert.equal(clean('GET https://user:pa%20ss@api.example.com/v1/x?token=abc&y=1#z failed'), 'GET https://api.example.com/v1/x#z failed');
  assert.equal(clean('postgres://u:p@db/x'), 'postgres://db/x');
  assert.equal(clean('a\u0000b\nc\ud800d'), 'a b c d');
  assert.equal(clean('ä'.repeat(600)).length, 500);
  assert.equal(clean('😀'.repeat(600)), '😀'.repeat(500));
});

test('of what Deno says, which gives no code, the code is told', () => {
  const deno = (words) => new TypeError(`error sending request for url (https://user:secret@host/?key=secret): client error (Connect): ${words}`);
  for (const [words, told] of [
    ['tcp connect error: Connection refused (os error 111)', 'ECONNREFUSED: the connection was refused'],
    ['dns error: failed to lookup address information: Name or service not known', 'ENOTFOUND: there is no such host'],
    ['dns error: failed to lookup address information: Temporary failure in name resolution', 'EAI_AGAIN: the host name could not be looked up'],
    ['invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))', 'DEPTH_ZERO_SELF_SIGNED_CERT: the certificate is self-signed'],
    ['invalid peer certificate: UnknownIssuer', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY: the issuer of the certificate is unknown'],
    ['invalid peer certificate: Expired', 'CERT_HAS_EXPIRED: the certificate has expired'],
    ['invalid peer certificate: BadSignature', 'CERT_REJECTED: the certificate was not accepted'],
    ['received corrupt message of type InvalidContentType', 'ERR_SSL_WRONG_VERSION_NUMBER: what answered does not speak TLS'],
    ['received fatal alert: ProtocolVersion', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: no version of TLS in common'],
    ['received fatal alert: HandshakeFailure', 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: the TLS handshake failed'],
    ['tls handshake eof', 'ECONNRESET: the connection was reset'],
    ['something new', 'the request failed'],
  ]) {
    assert.equal(tell(deno(words)), told);
    assert.equal(tell(new TypeError('fetch failed', { cause: deno(words) })), told);
  }
});

test('the log has the message of an error and its causes, in one line', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:8443'), { code: 'ECONNREFUSED' });
  assert.equal(causes(new TypeError('fetch\nfailed', { cause: new AggregateError([refused]) })), 'fetch failed: : ECONNREFUSED connect ECONNREFUSED 10.0.0.7:8443');
  assert.equal(causes('text'), 'text');
  assert.equal(causes(new Error('x'.repeat(5000))).length, 1000);
});
