import { describe, expect, it } from 'vitest';
import { providerUnavailable } from './provider.js';

const options = { provider: 'cuda', intraOpThreads: 1, deviceId: 2 } as const;

describe('an unavailable provider', () => {
  it('is reported with what the runtime said, without the place in its source', () => {
    const said = '/src/webgpu_context.cc:136 Initialize()::<lambda()> status == Success was false. No supported adapters\n';
    const error = providerUnavailable(options, Object.assign(new Error('Command failed'), { stdout: said, signal: null }));
    expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', field: 'provider', details: { provider: 'cuda', deviceId: 2 } });
    expect(error.message).toMatch(/"cuda" does not work on this machine: No supported adapters \(provider\)\. .*choose the provider "cpu"$/);
  });

  it('is reported as a killed process when its driver aborts', () => {
    const error = providerUnavailable(options, Object.assign(new Error('Command failed'), { stdout: '', signal: 'SIGABRT' }));
    expect(error.message).toContain('its driver ended the process (SIGABRT)');
  });

  it('is reported with the message of whatever else went wrong', () => {
    expect(providerUnavailable(options, new Error('no binding')).message).toContain('no binding');
    expect(providerUnavailable(options, 'odd').message).toContain('odd');
  });
});
