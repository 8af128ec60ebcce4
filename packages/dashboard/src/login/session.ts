import { signal, type ReadonlySignal } from '@preact/signals';
import { ApiError, isLoggedIn, logIn, logOut, onUnauthenticated } from '../api/client.js';

const state = signal<'unknown' | 'in' | 'out'>('unknown');
const problem = signal<ApiError | undefined>(undefined);

/** Whether the server knows this browser. `out` shows the login in place of every view; the URL, the place wanted, stays. */
export const session: ReadonlySignal<'unknown' | 'in' | 'out'> = state;
/** why the last login failed */
export const loginProblem: ReadonlySignal<ApiError | undefined> = problem;

/** Logs in with the token of a link (`/#token=...`), which leaves the URL and the history at once; else asks the server. */
export function startSession(): void {
  onUnauthenticated(() => (state.value = 'out'));
  // A link that is opened where the page is already only changes the fragment.
  window.addEventListener('hashchange', () => {
    const token = takeToken();
    if (token !== undefined) void enter(token);
  });
  const token = takeToken();
  void (token === undefined ? askSession() : enter(token));
}

async function askSession(): Promise<void> {
  try {
    state.value = (await isLoggedIn()) ? 'in' : 'out';
  } catch (thrown) {
    // Views say that the server cannot be reached, and try again.
    state.value = ApiError.from(thrown).status === 401 ? 'out' : 'in';
  }
}

/** Exchanges the token for a session; the token itself is kept nowhere. When it is wrong, `loginProblem` says so. */
export async function enter(token: string): Promise<void> {
  try {
    await logIn(token.trim());
    problem.value = undefined;
    state.value = 'in';
  } catch (thrown) {
    problem.value = ApiError.from(thrown);
    state.value = 'out';
  }
}

export async function leave(): Promise<void> {
  await logOut();
  state.value = 'out';
}

function takeToken(): string | undefined {
  const token = new URLSearchParams(window.location.hash.slice(1)).get('token');
  if (token === null) return undefined;
  window.history.replaceState(null, '', `${window.location.pathname}${window.location.search}`);
  return token;
}
