// tokens.mjs: mints the JWTs that Supabase Auth would (HS256, node:crypto alone), good and bad ones.
import { createHmac } from 'node:crypto';

const base64url = (text) => Buffer.from(text).toString('base64url');

// nestedDeep: stands in claims for 16,000 arrays, one in another, too deep for JSON.stringify.
export const nestedDeep = 'nested 16,000 deep';
const stringify = (claims) => JSON.stringify(claims).replaceAll(`"${nestedDeep}"`, '['.repeat(16_000) + ']'.repeat(16_000));

// sign(secret, claims): a token as it stands, whatever the claims are worth.
export function sign(secret, claims, header = { alg: 'HS256', typ: 'JWT' }) {
  const signed = `${base64url(JSON.stringify(header))}.${base64url(stringify(claims))}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

// unsigned(claims): the "alg: none" token that no server may take.
export function unsigned(claims) {
  return `${base64url('{"alg":"none","typ":"JWT"}')}.${base64url(JSON.stringify(claims))}.`;
}

// mint(secret, claims, seconds): a token that is good for so many seconds (an hour); negative:
// expired by so many.
export function mint(secret, claims, seconds = 3600) {
  const now = Math.floor(Date.now() / 1000);
  return sign(secret, { iss: 'test', aud: claims.role, iat: now, exp: now + seconds, ...claims });
}

// member(...orgs): claims of a signed-in user of these organisations, as a custom access token
// hook or app_metadata would put them.
export function member(...orgs) {
  const org_id = orgs.length > 1 ? orgs : orgs[0];
  return { role: 'authenticated', app_metadata: orgs.length > 0 ? { org_id } : {} };
}

export const globalAdmin = { role: 'authenticated', app_metadata: { role: 'global_admin' } };
export const service = { role: 'service_role' };
export const anon = { role: 'anon' };
