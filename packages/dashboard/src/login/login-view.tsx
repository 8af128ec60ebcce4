import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { Button } from '../ui/button.js';
import { problemOf } from '../ui/error-state.js';
import { TextField } from '../ui/field.js';
import { setTitle } from '../view/title.js';
import { navigate, path } from '../view/view-state.js';
import './login.css';
import { enter, loginProblem, session } from './session.js';

/** Asks for the API token. It stands where the view wanted will be. */
export function LoginView(): VNode {
  const token = useSignal('');
  const busy = useSignal(false);
  useEffect(() => setTitle('Log in'), []);
  const isIn = session.value === 'in';
  useEffect(() => {
    if (isIn && path.peek() === '/login') navigate('/', {}, { replace: true }); // it was asked for by its own address
  }, [isIn]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (token.value.trim() === '' || busy.value) return;
    busy.value = true;
    await enter(token.value);
    busy.value = false;
  };
  const problem = loginProblem.value;
  return (
    <div class="login panel">
      <h1>Log in</h1>
      <form class="stack" onSubmit={(event) => void submit(event)}>
        <TextField
          label="API token"
          type="password"
          autocomplete="current-password"
          isCode
          value={token.value}
          onInput={(value) => (token.value = value)}
          error={problem && `${problemOf(problem)}${problem.remedy === undefined ? '' : `. ${problem.remedy}`} (${problem.code})`}
        />
        <Button kind="primary" type="submit" busy={busy.value} disabled={token.value.trim() === ''}>
          Log in
        </Button>
      </form>
      <p class="muted small">
        The token lies in the data folder of the coordinator: <code>.dd2/tokens/api</code>. <code>dd2 dashboard</code> prints a link that logs in by itself.
      </p>
    </div>
  );
}
