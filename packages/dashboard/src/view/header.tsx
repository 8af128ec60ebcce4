import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import { connection } from '../api/live.js';
import { getCluster, type Cluster } from '../api/client.js';
import { leave } from '../login/session.js';
import { Badge } from '../ui/badge.js';
import { IconButton } from '../ui/button.js';
import { tellError } from '../ui/toast.js';
import { useWorkers, workers } from '../workers/workers-store.js';
import { setServerTime } from './clock.js';
import { themeChoice, themeChoices, type ThemeChoice } from './theme.js';
import { Link, path } from './view-state.js';

const cluster = signal<Cluster | undefined>(undefined);
const CLUSTER_MS = 60_000;
const WORKERS_MS = 30_000;

/** Name, places, connection and theme. Bare before the login. */
export function Header({ isBare }: { readonly isBare: boolean }): VNode {
  return (
    <header class="header">
      <Link to="/" class="brand" aria-label="dd2, to the runs">
        dd2
      </Link>
      {!isBare && (
        <nav class="nav" aria-label="Views">
          <NavLink to="/" label="Runs" isCurrent={path.value === '/' || path.value.startsWith('/runs/') || path.value.startsWith('/try/')} />
          <NavLink to="/submit" label="Submit" isCurrent={path.value === '/submit'} />
          <NavLink to="/workers" label="Workers" isCurrent={path.value === '/workers'} />
        </nav>
      )}
      <div class="header-info">
        {!isBare && <ClusterInfo />}
        <div class="row">
          <ThemeButton />
          {!isBare && <IconButton label="Log out" icon="exit" kind="quiet" onClick={() => void leave().catch(tellError)} />}
        </div>
      </div>
    </header>
  );
}

function NavLink({ to, label, isCurrent }: { readonly to: string; readonly label: string; readonly isCurrent: boolean }): VNode {
  return (
    <Link to={to} aria-current={isCurrent ? 'page' : undefined}>
      {label}
    </Link>
  );
}

function ClusterInfo(): VNode {
  useWorkers(WORKERS_MS);
  useEffect(() => {
    const stop = new AbortController();
    const ask = (): void => {
      if (document.visibilityState === 'hidden') return;
      getCluster({ signal: stop.signal }).then(
        (told) => {
          setServerTime(told.now);
          cluster.value = told;
        },
        () => undefined, // the connection's state says that the coordinator is away
      );
    };
    ask();
    const timer = setInterval(ask, CLUSTER_MS);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, []);
  const count = workers.value?.length;
  const known = cluster.value;
  return (
    <>
      {known && <span title={`Cluster ${known.clusterId}, coordinator ${known.epoch}, queues in ${known.queueStore}`}>{known.version}</span>}
      {known && !known.queueAvailable && <Badge tone="bad">queues unreachable</Badge>}
      {count !== undefined && (
        <Link to="/workers">
          {count} {count === 1 ? 'worker' : 'workers'}
        </Link>
      )}
      <Connection />
    </>
  );
}

function Connection(): VNode {
  const words = { connecting: 'connecting', connected: 'live', reconnecting: 'reconnecting', ended: 'not connected', failed: 'not connected' } as const;
  const state = connection.value;
  return (
    <span role="status" aria-label={`Connection: ${words[state]}`}>
      <Badge tone={state === 'connected' ? 'good' : state === 'connecting' ? 'neutral' : 'warn'}>{words[state]}</Badge>
    </span>
  );
}

const themeIcons = { system: 'system', light: 'sun', dark: 'moon' } as const;

/** Goes through the themes, one click each. */
function ThemeButton(): VNode {
  const choice = themeChoice.value;
  const next: ThemeChoice = themeChoices[(themeChoices.indexOf(choice) + 1) % themeChoices.length] ?? 'system';
  return <IconButton label={`Theme: ${choice}. Change to ${next}`} icon={themeIcons[choice]} kind="quiet" onClick={() => (themeChoice.value = next)} />;
}
