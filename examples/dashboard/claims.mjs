// claims.mjs: what the user's token says, so that the page knows which views to offer. It decides nothing: the database reads
// the token for itself, and gives no more than the token allows, whatever this page asks for.

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

// Where the database looks, unless its settings integration_health.org_claims, role_claims and admin_role say otherwise.
const defaults = { org_claims: ['app_metadata.org_id', 'org_id'], role_claims: ['app_metadata.role', 'user_role', 'role'], admin_role: 'global_admin' };

const at = (claims, path) => path.split('.').reduce((value, name) => value?.[name], claims);
const list = (value) => (value === undefined || value === null ? [] : [value].flat());

/** The claims of a token, unverified. @param {string} token @returns {any} */
export function payloadOf(token) {
  const part = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0))));
}

/**
 * Reads a token, without verifying it.
 * @param {string} token
 * @param {{ org_claims?: string[], role_claims?: string[], admin_role?: string }} [settings]
 * @returns {{ subject: string | null, organisations: string[], is_admin: boolean }}
 */
export function readClaims(token, settings = {}) {
  const { org_claims, role_claims, admin_role } = { ...defaults, ...settings };
  let claims = {};
  try {
    claims = payloadOf(token) ?? {};
  } catch { /* no token: nobody's */ }
  const path = org_claims.find((name) => at(claims, name) !== undefined && at(claims, name) !== null);
  return {
    subject: typeof claims.sub === 'string' ? claims.sub : null,
    organisations: path ? [...new Set(list(at(claims, path)).filter((id) => uuid.test(id)).map((id) => id.toLowerCase()))] : [],
    is_admin: role_claims.some((name) => list(at(claims, name)).includes(admin_role)),
  };
}
