import { useEffect, useRef } from 'preact/hooks';
import type { VNode } from 'preact';
import { Header } from './view/header.js';
import { lazyView, matchPath, ViewBoundary, type Route } from './view/router.js';
import { Link, path } from './view/view-state.js';
import { EmptyState } from './ui/empty-state.js';
import { Toasts } from './ui/toast.js';
import { RunsView } from './runs/runs-view.js';
import { startRuns } from './runs/runs-store.js';
import { session } from './login/session.js';
import { LoginView } from './login/login-view.js';
import { setTitle } from './view/title.js';

const SubmitView = lazyView(() => import('./runs/submit-view.js'));
const RunView = lazyView<{ readonly runId: string }>(() => import('./run/run-view.js'));
const WorkersView = lazyView(() => import('./workers/workers-view.js'));
const TryView = lazyView<{ readonly runId: string }>(() => import('./try/try-view.js'));
const DiffView = lazyView(() => import('./spec/diff-view.js'));

const routes: readonly Route[] = [
  { pattern: '/', view: () => <RunsView /> },
  { pattern: '/submit', view: () => <SubmitView /> },
  { pattern: '/runs/:id', view: ({ id = '' }) => <RunView runId={id} key={id} /> },
  { pattern: '/workers', view: () => <WorkersView /> },
  { pattern: '/try/:id', view: ({ id = '' }) => <TryView runId={id} key={id} /> },
  { pattern: '/diff', view: () => <DiffView /> },
  { pattern: '/login', view: () => <LoginView /> },
];

export function App(): VNode {
  const isIn = session.value === 'in';
  useEffect(() => (isIn ? startRuns() : undefined), [isIn]);
  // What was focused may be gone with the view before: the next Tab starts at the new one, not at the top of the page.
  const before = useRef(path.value);
  useEffect(() => {
    if (before.current === path.value) return;
    before.current = path.value;
    if (document.activeElement === document.body) document.getElementById('main')?.focus({ preventScroll: true });
  }, [path.value]);
  const isLogin = path.value === '/login' || session.value === 'out';
  return (
    <>
      <a class="skip-link" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header isBare={isLogin || session.value === 'unknown'} />
      <main class="main" id="main" tabIndex={-1}>
        {session.value === 'unknown' ? null : (
          <ViewBoundary key={path.value}>{isLogin ? <LoginView /> : place(path.value)}</ViewBoundary>
        )}
      </main>
      <Toasts />
    </>
  );
}

function place(at: string): VNode {
  for (const { pattern, view } of routes) {
    const parts = matchPath(pattern, at);
    if (parts) return view(parts);
  }
  return <NotFound />;
}

function NotFound(): VNode {
  useEffect(() => setTitle('Not found'), []);
  return (
    <EmptyState title="There is no such page" isView>
      <p>
        Go to <Link to="/">the list of runs</Link>.
      </p>
    </EmptyState>
  );
}

/** The fragment of the URL is not changed: the whole view is in path and query. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}
