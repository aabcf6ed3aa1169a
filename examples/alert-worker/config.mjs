// config.mjs: reads the configuration: where alerts go, and how.
import { Webhook } from 'standardwebhooks';
import { requirePublic } from './addresses.mjs';

// What the database calls its alerts. A name that it does not know would be waited for in vain.
export const kinds = [
  'incident_opened', 'incident_reminded', 'incident_resolved', 'sync_late', 'sync_missed', 'type_passive', 'type_active',
  'monitor_silent', 'credential_expires',
];

// Each setting with its default, and the most that it may be; the least is 1. PostgREST on Supabase cuts answers at 1000 rows:
// alerts beyond would be claimed and never heard of.
const limits = {
  concurrency: [10, 1000],              // alerts that are claimed and delivered at once
  timeout_ms: [10_000, 600_000],        // no answer of an endpoint by then: failed
  lease_s: [60, 86_400],                // what is not reported by then, another worker may have
  poll_ms: [5_000, 600_000],            // how often to look for alerts
  request_timeout_ms: [15_000, 600_000],// for one request to Supabase
  finish_attempts: [3, 100],            // how often a report is sent at most
  retry_ms: [1_000, 60_000],            // before it is sent again
};
const keysOfEndpoint = ['name', 'url', 'secret', 'kinds', 'org_id', 'allow_private', 'allow_http'];
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

// readConfig(config, read): the config with its defaults; its endpoints are { name, url, webhooks, kinds, org_id,
// allow_private }. read(NAME) stands for each ${NAME} in a url or secret, so that secrets stay out of the file. Throws an
// Error that names what is wrong, and holds no secret.
export function readConfig({ endpoints, ...settings }, read) {
  for (const [name, value] of Object.entries(settings)) {
    if (!(name in limits)) throw new Error(`config: unknown setting "${name}"`);
    if (!Number.isInteger(value) || value < 1 || value > limits[name][1]) {
      throw new Error(`config: ${name} must be a whole number from 1 to ${limits[name][1]}`);
    }
  }
  const config = { ...Object.fromEntries(Object.entries(limits).map(([name, [value]]) => [name, value])), ...settings };
  // A claim may take a request to answer, and a report one more.
  if (config.timeout_ms + 2 * config.request_timeout_ms > 1000 * config.lease_s) {
    throw new Error('config: lease_s must be longer than timeout_ms and two requests (request_timeout_ms) together');
  }
  if (!Array.isArray(endpoints) || endpoints.length === 0) throw new Error('config: endpoints must be a list that is not empty');
  return { ...config, endpoints: endpoints.map((endpoint, i) => readEndpoint(endpoint, `endpoints[${i}]`, read)) };
}

function readEndpoint(endpoint, where, read) {
  const require = (is, what) => { if (!is) throw new Error(`config: ${where}${what}`); };
  require(endpoint !== null && typeof endpoint === 'object' && !Array.isArray(endpoint), ' is no object');
  for (const key of Object.keys(endpoint)) require(keysOfEndpoint.includes(key), ` has the unknown key "${key}"`);
  const { allow_private = false, allow_http = false, org_id } = endpoint;
  const fill = (text) => text.replace(/\$\{(\w+)\}/g, (_, name) => read(name));

  require(typeof endpoint.url === 'string', ' has no url');
  const text = fill(endpoint.url);
  require(URL.canParse(text), '.url is no URL');
  const url = new URL(text);
  require(typeof allow_private === 'boolean' && typeof allow_http === 'boolean', '.allow_private and .allow_http are true or false');
  require(url.protocol === 'https:' || (url.protocol === 'http:' && allow_http), '.url is not https, and allow_http is not set');
  require(!url.username && !url.password, '.url holds a user or password: the signature tells who is calling');
  try {
    if (!allow_private) requirePublic(url.hostname);
  } catch (error) {
    require(false, `.url: ${error.message}`);
  }
  require(endpoint.kinds === undefined || (Array.isArray(endpoint.kinds) && endpoint.kinds.length > 0), '.kinds must be a list that is not empty');
  for (const kind of endpoint.kinds ?? []) require(kinds.includes(kind), `.kinds: there is no "${kind}"`);
  require(org_id === undefined || uuid.test(org_id), '.org_id is no UUID');
  require(endpoint.name === undefined || (typeof endpoint.name === 'string' && /^[\w .-]{1,60}$/.test(endpoint.name)), '.name must be 1 to 60 letters, digits, blanks, dots, hyphens');

  const secrets = [endpoint.secret].flat();
  require(secrets.length > 0 && secrets.every((secret) => typeof secret === 'string'), '.secret must be a text, or a list of some');
  return {
    name: endpoint.name ?? url.host, url, allow_private, kinds: endpoint.kinds, org_id: org_id?.toLowerCase(),
    webhooks: secrets.map((secret) => readSecret(fill(secret), require)),
  };
}

// The scheme wants 24 to 64 random bytes.
function readSecret(secret, require) {
  const bytes = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1];
  const length = bytes && Buffer.from(bytes, 'base64').length;
  require(length >= 24 && length <= 64 && bytes.length % 4 === 0, '.secret is not "whsec_" and 24 to 64 bytes in base64');
  return new Webhook(secret);
}
