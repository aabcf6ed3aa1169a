// post.mjs: the work of a sync that is a POST to a URL. What you do for a sync goes in its place.
import { Told } from './texts.mjs';

// postTo(url): returns sync(run, signal) for createWorker. The external system knows a repeated request by its key.
export const postTo = (url) => async ({ org_id, integration_type, scheduled_for, idempotency_key }, signal) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': idempotency_key },
    body: JSON.stringify({ org_id, integration_type, scheduled_for }),
    redirect: 'manual',        // followed, a POST becomes the GET of a login page, which succeeds
    signal,
  });
  await response.body?.cancel();
  if (response.status >= 300 && response.status < 400) throw new Told(`HTTP ${response.status}: redirected, which is not followed`);
  if (!response.ok) throw new Told(`HTTP ${response.status}`);
};
