// texts.mjs: what went wrong, in words that the members of an organisation may read. What a library says may
// hold a URL with its password, an address or a path: of such errors only the code is told, in our words.
// The same file in each example that needs it; scripts/test lint compares them.
const words = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  EAI_AGAIN: 'the host name could not be looked up',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'there is no such host',
  EPIPE: 'the connection was closed',
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
  [/\(os error 104\)|connection closed before message completed/, 'ECONNRESET'],
  [/\(os error 110\)/, 'ETIMEDOUT'],
  [/\(os error 111\)/, 'ECONNREFUSED'],
  [/dns error: .*temporary failure/i, 'EAI_AGAIN'],
  [/dns error/, 'ENOTFOUND'],
  [/invalid peer certificate: .*CaUsedAsEndEntity/, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  [/invalid peer certificate: .*Expired/, 'CERT_HAS_EXPIRED'],
  [/invalid peer certificate: .*UnknownIssuer/, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  [/invalid peer certificate: .*NotValidForName/, 'ERR_TLS_CERT_ALTNAME_INVALID'],
];

// An error whose message you have written for members to read.
export class Told extends Error {}

// tell(error): one line for members: the message of a Told, else the code of the error or its cause.
export function tell(error) {
  if (error instanceof Told) return clean(error.message);
  if (error?.name === 'TimeoutError' || error?.name === 'AbortError') return 'no answer in time';
  // fetch hides the cause one level down; with several addresses, one more.
  for (let cause = error; cause; cause = cause.errors?.[0] ?? cause.cause) {
    const code = codeOf(cause);
    if (code) return `${code}: ${words[code] ?? 'the request failed'}`;
  }
  return 'the request failed';
}

// codeOf(error): its code, as Node has it; undefined where there is none.
function codeOf({ code, message }) {
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,60}$/.test(code)) return code;
  return phrases.find(([phrase]) => phrase.test(message))?.[1];
}

// clean(text): as the database takes it: no control characters, no half surrogates, 500 characters; and
// without the user, password and query of any URL in it.
export const clean = (text) => [...String(text)].slice(0, 500).join('')
  .replace(/[\p{Cc}\p{Cs}]/gu, ' ')
  .replace(/\b([a-z][a-z0-9+.-]*:\/\/)([^\s/?#@]*@)?([^\s?#]*)(?:\?[^\s#]*)?/gi, '$1$3');
