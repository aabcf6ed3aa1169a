// texts.mjs: what went wrong, in words that the members of an organisation may read. What a library says may
// hold a URL with its password, an address or a path: of such errors only the code is told, in our words.
// The same file in each example that needs it; scripts/test lint compares them.
const words = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_REJECTED: 'the certificate was not accepted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  EAI_AGAIN: 'the host name could not be looked up',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'there is no such host',
  EPIPE: 'the connection was closed',
  EPROTO: 'what answered does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'what answered does not speak TLS',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'the TLS handshake failed',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'no version of TLS in common',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what answered does not speak TLS',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host',
  ETIMEDOUT: 'the connection timed out',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is self-signed',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the issuer of the certificate is unknown',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the issuer of the certificate is unknown',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  UND_ERR_SOCKET: 'the connection was closed',
};

// What Deno says of an error that it gives no code.
const phrases = [
  [/\(os error 101\)/, 'ENETUNREACH'],
  [/\(os error 104\)|connection closed before message completed|tls handshake eof/, 'ECONNRESET'],
  [/\(os error 110\)/, 'ETIMEDOUT'],
  [/\(os error 111\)/, 'ECONNREFUSED'],
  [/\(os error 113\)/, 'EHOSTUNREACH'],
  [/dns error: .*temporary failure/i, 'EAI_AGAIN'],
  [/dns error/, 'ENOTFOUND'],
  [/invalid peer certificate: .*CaUsedAsEndEntity/, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  [/invalid peer certificate: .*Expired/, 'CERT_HAS_EXPIRED'],
  [/invalid peer certificate: .*UnknownIssuer/, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  [/invalid peer certificate: .*(NotValidForName|not valid for name)/, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  [/invalid peer certificate/, 'CERT_REJECTED'],
  [/received corrupt message of type InvalidContentType/, 'ERR_SSL_WRONG_VERSION_NUMBER'],
  [/received fatal alert: ProtocolVersion/, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
  [/received fatal alert/, 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE'],
];

// An error whose message you have written for members to read.
export class Told extends Error {}

// tell(error): one line for members: the message of a Told, else the code of the error or its cause.
export function tell(error) {
  if (error instanceof Told) return clean(error.message);
  if (error?.name === 'TimeoutError' || error?.name === 'AbortError') return 'no answer in time';
  const code = unwrap(error).map(codeOf).find(Boolean);
  return code ? `${code}: ${words[code] ?? 'the request failed'}` : 'the request failed';
}

// unwrap(error): the error and those within it, the outermost first: fetch hides the cause one level down; where a host
// has several addresses, an AggregateError has the error of each.
export function unwrap(error) {
  const found = new Set([error]);
  // A set yields what is added while it is read, and each member once: a circle ends.
  for (const each of found) {
    if (Array.isArray(each?.errors)) each.errors.forEach((inner) => found.add(inner));
    if (each?.cause) found.add(each.cause);
  }
  return [...found];
}

// codeOf(error): its own code, as Node has it; undefined where there is none.
export function codeOf(error) {
  // OpenSSL 3.2 and later: ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE
  if (typeof error?.code === 'string' && /^[A-Z][A-Z0-9_/]{2,60}$/.test(error.code)) return error.code;
  return phrases.find(([phrase]) => phrase.test(error?.message))?.[1];
}

// clean(text): as the database takes it: no control characters, no half surrogates, 500 characters; and
// without the user, password and query of any URL in it.
export const clean = (text) => [...String(text)].slice(0, 500).join('')
  .replace(/[\p{Cc}\p{Cs}]/gu, ' ')
  .replace(/\b([a-z][a-z0-9+.-]*:\/\/)([^\s/?#@]*@)?([^\s?#]*)(?:\?[^\s#]*)?/gi, '$1$3');

// causes(error): for the log of whoever runs the worker: the message, with that of its causes.
export function causes(error) {
  const messages = [];
  for (let cause = error; cause && messages.length < 5; cause = cause.errors?.[0] ?? cause.cause) {
    messages.push([cause.code, cause.message ?? String(cause)].filter(Boolean).join(' '));
  }
  return messages.join(': ').replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, 1000);
}
