import { expect, it } from 'vitest';
import { childEnvironment } from './child-environment.js';

it('a process of a cluster on this machine does not hear what is said about others', () => {
  const elsewhere = { DD2_TOKEN: 'a', DD2_TOKEN_FILE: 'b', DD2_CERTS: 'c', DD2_COORDINATOR: 'd:1', DD2_HEALTH_PORT: '7090', DD2_ROLE: 'teacher', DD2_THREADS: '8', DD2_REDIS_PASSWORD_FILE: 'e', DD2_DATA_DIR: 'f' };
  expect(childEnvironment({ PATH: '/bin', DD2_HTTP_PORT: '0', DD2_LOG_FORMAT: 'json', ...elsewhere })).toEqual({ PATH: '/bin', DD2_HTTP_PORT: '0', DD2_LOG_FORMAT: 'json' });
});
