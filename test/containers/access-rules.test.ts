import { describe, expect, it } from 'vitest';
import { mayAccess, type Access } from './access-rules.js';
import type { Role, RoleBinding } from './objects.js';

const metadata = { name: 'keeper', labels: {}, annotations: {} };
const role: Role = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata,
  rules: [
    { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
    { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'update', 'list'], resourceNames: ['mine'] },
  ],
};
const binding: RoleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata,
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'keeper' },
  subjects: [{ kind: 'ServiceAccount', name: 'keeper' }],
};
const may = (account: string, access: Partial<Access>): boolean => mayAccess(account, { verb: 'get', apiGroup: '', resource: 'secrets', ...access }, [role], [binding]);

describe('access rules', () => {
  it('allow what a rule says', () => {
    expect(may('keeper', { name: 'mine' })).toBe(true);
    expect(may('keeper', { verb: 'create' })).toBe(true);
  });

  it.each<[string, string, Partial<Access>]>([
    ['another account', 'other', { name: 'mine' }],
    ['another object', 'keeper', { name: 'yours' }],
    ['another verb', 'keeper', { verb: 'delete', name: 'mine' }],
    ['another resource', 'keeper', { resource: 'pods', name: 'mine' }],
    ['another group', 'keeper', { apiGroup: 'apps', name: 'mine' }],
    ['a collection, by a rule with names', 'keeper', { verb: 'list' }],
  ])('refuse %s', (_, account, access) => {
    expect(may(account, access)).toBe(false);
  });
});
