// people.mjs: the organisations of the demo and the playground, and those who ask: the claims of their tokens.
export const orgs = {
  A: 'a0000000-0000-4000-8000-000000000001',
  B: 'b0000000-0000-4000-8000-000000000002',
  C: 'c0000000-0000-4000-8000-000000000003',
};

const member = (org_id) => ({ role: 'authenticated', app_metadata: { org_id } });

export const people = {
  memberOfA: member(orgs.A),
  memberOfB: member(orgs.B),
  globalAdmin: { role: 'authenticated', app_metadata: { role: 'global_admin' } },
  // whoever may edit user_metadata, as every user may
  pretender: { ...member(orgs.B), user_metadata: { role: 'global_admin', org_id: orgs.A } },
  service: { role: 'service_role' },
  anon: { role: 'anon' },
};
