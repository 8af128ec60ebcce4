import type { Role, RoleBinding } from './objects.js';

/** What somebody wants to do to an object of a namespace. */
export interface Access {
  readonly verb: string;
  readonly apiGroup: string;
  readonly resource: string;
  /** not for `create` and `list`, which name no object */
  readonly name?: string;
}

/** Whether roles that are bound to a service account let it do that (role-based access control, within one namespace). */
export function mayAccess(serviceAccount: string, access: Access, roles: readonly Role[], bindings: readonly RoleBinding[]): boolean {
  const bound = bindings.filter(({ subjects }) => subjects.some(({ name }) => name === serviceAccount)).map(({ roleRef }) => roleRef.name);
  return roles
    .filter(({ metadata }) => bound.includes(metadata.name))
    .flatMap(({ rules }) => rules)
    .some(
      ({ apiGroups, resources, verbs, resourceNames }) =>
        has(apiGroups, access.apiGroup) &&
        has(resources, access.resource) &&
        has(verbs, access.verb) &&
        // a rule with names never covers a request without one
        (resourceNames === undefined || resourceNames.length === 0 || (access.name !== undefined && resourceNames.includes(access.name))),
    );
}

function has(list: readonly string[], value: string): boolean {
  return list.includes(value) || list.includes('*');
}
