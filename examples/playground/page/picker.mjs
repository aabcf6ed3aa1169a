// picker.mjs: in place of a sign-in, a list of people to be. For the demo and the playground only: whoever opens their page may be
// anyone.

// createPicker(people): people: [{ who, name, token }]. Returns getToken as token.mjs of the dashboard has it: the token of the
// person that is chosen, the first one to begin with. Choosing another one begins anew, but where a token was refused.
export function createPicker(people) {
  const key = 'integration-health-person';
  const chosen = () => people.find((person) => person.who === sessionStorage.getItem(key)) ?? people[0];
  let resolveWith;

  const select = document.createElement('select');
  select.id = 'person';
  for (const { who, name } of people) select.append(new Option(name, who));
  select.value = chosen().who;
  const label = document.createElement('label');
  label.append('You are ', select);
  document.querySelector('header').append(label);

  select.addEventListener('change', () => {
    sessionStorage.setItem(key, select.value);
    if (resolveWith) {
      const resolve = resolveWith;
      resolveWith = undefined;
      resolve(chosen().token);
      return;
    }
    history.replaceState(null, '', location.pathname + location.search);
    location.reload();
  });

  return async ({ refused } = {}) => {
    if (chosen().token !== refused) return chosen().token;
    select.focus();
    return new Promise((resolve) => { resolveWith = resolve; });
  };
}
