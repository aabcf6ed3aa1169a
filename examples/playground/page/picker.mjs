// picker.mjs: in place of a sign-in, a list of people to be. For the demo and the playground only: whoever opens their page may be
// anyone.
const key = 'integration-health-person';

// createPicker(people): people: [{ who, name, token }]. Returns getToken as token.mjs of the dashboard has it: the token of the
// person that is chosen, the first one to begin with. When another one is chosen, sends the event person to the document; unless
// somebody takes that, or a token was refused and is waited for, the page begins anew.
export function createPicker(people) {
  const chosen = () => people.find((person) => person.who === sessionStorage.getItem(key)) ?? people[0];
  let resolveWith;

  const select = document.createElement('select');
  select.id = 'person';
  select.style.maxWidth = '18rem';
  for (const { who, name } of people) select.append(new Option(name, who));
  select.value = chosen().who;
  const label = document.createElement('label');
  label.append('You are ', select);
  document.querySelector('header').append(label);

  const announce = () => document.dispatchEvent(new CustomEvent('person', { detail: chosen(), cancelable: true }));

  select.addEventListener('change', () => {
    sessionStorage.setItem(key, select.value);
    const isTaken = !announce();
    if (resolveWith) {
      const resolve = resolveWith;
      resolveWith = undefined;
      resolve(chosen().token);
    } else {
      history.replaceState(null, '', location.pathname + location.search);
      if (!isTaken) location.reload();
    }
  });
  announce();

  return async ({ refused } = {}) => {
    if (chosen().token !== refused) return chosen().token;
    select.focus();
    return new Promise((resolve) => { resolveWith = resolve; });
  };
}
