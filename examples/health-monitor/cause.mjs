// cause.mjs: why there was no response, by the names of integration_failure_cause. Of a response the database tells it, from
// the HTTP status.
//
// The codes are those of Node: of its system calls, of OpenSSL and of undici, which is its fetch. Those of Deno, and what it
// says in words, are turned into them by texts.mjs, as Deno 2.1.4 has them. Not tested: later versions of Deno, whose words may
// differ (what is not recognised is `other`), and Supabase's own build of it.
import { codeOf, unwrap } from './texts.mjs';

const causes = {
  dns: /^(ENOTFOUND|EAI_\w+|ENODATA|ESERVFAIL)$/,
  // EACCES and EPERM: a firewall of this machine
  connect: /^(ECONN(ABORTED|REFUSED|RESET)|E(HOST|NET)(DOWN|UNREACH)|ENOTCONN|EPIPE|EADDRNOTAVAIL|EACCES|EPERM|UND_ERR_SOCKET)$/,
  // the names that OpenSSL has for what is wrong with a certificate, and those of Node
  tls: /^(CERT_\w+|CRL_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|ERROR_IN_C\w+|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|EPROTO|ERR_(SSL|TLS)_.+)$/,
  timeout: /^(ETIMEDOUT|ESOCKETTIMEDOUT|UND_ERR_\w+_TIMEOUT)$/,
};

// causeOf(error): the cause of a request that got no response, by what it failed with.
export function causeOf(error) {
  for (const each of unwrap(error)) {
    // the signal of the monitor, when the time was up
    if (each?.name === 'TimeoutError' || each?.name === 'AbortError') return 'timeout';
    const code = codeOf(each);
    const found = code && Object.keys(causes).find((cause) => causes[cause].test(code));
    if (found) return found;
  }
  return 'other';
}
