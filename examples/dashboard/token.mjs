// token.mjs: where the user's token comes from. REPLACE THIS FILE in your product by one that asks whoever signs users in:
//
//   export async function getToken({ refused }) {
//     const { data } = refused ? await auth.refreshSession() : await auth.getSession();
//     return data.session.access_token;
//   }
//
// As it is, a form asks for a token. It is kept in sessionStorage, so for this tab alone and until it is closed. It is never
// taken from the address: a link could sign somebody in as somebody else.
const key = 'integration-health-token';

// getToken({ refused }): resolves to a token that is not the refused one. refused: the one that the API took no more,
// undefined for the first.
export async function getToken({ refused } = {}) {
  const kept = sessionStorage.getItem(key);
  if (kept && kept !== refused) return kept;
  sessionStorage.removeItem(key);
  const token = await ask(refused !== undefined);
  sessionStorage.setItem(key, token);
  return token;
}

// ask(again): shows the form until it is filled in.
function ask(again) {
  const [section, title, why, form, field] = ['token', 'token-title', 'token-why', 'token-form', 'token-field']
    .map((id) => document.getElementById(id));
  title.textContent = again ? 'Sign in again' : 'Sign in';
  why.textContent = again
    ? 'Your access token has expired or is not accepted. Paste a new one to go on; what you see stays.'
    : 'Paste your access token. It stays in this tab.';
  section.hidden = false;
  field.value = '';
  field.focus();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      const token = field.value.trim();
      if (!token) return;
      field.value = '';
      section.hidden = true;
      resolve(token);
    };
  });
}
