import { describe, expect, it } from 'vitest';
import { environmentOf, expand, fieldOf, MissingReference, type PodIdentity, type References } from './environment.js';

const pod: PodIdentity = { name: 'p-0', namespace: 'n', uid: 'u', ip: '10.0.0.1', serviceAccountName: 's', labels: { role: 'x' } };
const from: References = {
  secret: (name) => (name === 'there' ? new Map([['key', Buffer.from('hidden')]]) : undefined),
  configMap: (name) => (name === 'there' ? new Map([['A', Buffer.from('1')], ['B', Buffer.from('2')]]) : undefined),
};

describe('the environment of a container', () => {
  it('lets later values win and refer to earlier ones', () => {
    const container = {
      envFrom: [{ prefix: '', configMapRef: { name: 'there', optional: false } }],
      env: [
        { name: 'B', value: 'own' },
        { name: 'C', value: '$(A)-$(B)-$(NONE)-$$(A)' },
        { name: 'D', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'E', valueFrom: { secretKeyRef: { name: 'there', key: 'key', optional: false } } },
      ],
    };
    expect(environmentOf(container, pod, from, { A: '0' })).toEqual({ A: '1', B: 'own', C: '1-own-$(NONE)-$(A)', D: 'p-0', E: 'hidden' });
  });

  it('waits for what is missing, unless that is optional', () => {
    const missing = (optional: boolean) => ({ envFrom: [], env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 'none', key: 'key', optional } } }] });
    expect(() => environmentOf(missing(false), pod, from, {})).toThrow(MissingReference);
    expect(environmentOf(missing(true), pod, from, {})).toEqual({});
  });

  it('does not guess what it does not know', () => {
    expect(() => fieldOf(pod, 'status.hostIP')).toThrow('status.hostIP is not understood');
    expect(fieldOf(pod, "metadata.labels['role']")).toBe('x');
    expect(expand('a $(X) $$', { X: 'y' })).toBe('a y $');
  });
});
