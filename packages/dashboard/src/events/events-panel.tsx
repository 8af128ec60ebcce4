import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { ApiError, listEvents, type RunEvent } from '../api/client.js';
import { watchRun, type LiveState } from '../api/live.js';
import { Badge } from '../ui/badge.js';
import { Button } from '../ui/button.js';
import { EmptyState } from '../ui/empty-state.js';
import { ErrorState, problemOf } from '../ui/error-state.js';
import { Checkbox } from '../ui/field.js';
import { Spinner } from '../ui/spinner.js';
import { useClock } from '../view/clock.js';
import { formatAgo, formatCount, formatTime } from '../view/format.js';
import { list, param } from '../view/view-state.js';
import { countKinds, mergeEvents, toneOf } from './event-list.js';
import './events.css';

/** Kinds that are left out: those of checkpoints, which come every so many updates, unless they are asked for. */
const hiddenKinds = param('without', { ...list(20), default: ['checkpoint'] });
const PAGE = 200;

/** What happened to a run in plain words, newest first, live. */
export function EventsPanel({ runId }: { readonly runId: string }): VNode {
  const events = useSignal<readonly RunEvent[] | undefined>(undefined);
  const problem = useSignal<ApiError | undefined>(undefined);
  const live = useSignal<LiveState>('connecting');
  const attempt = useSignal(0);
  const pages = useSignal(1);
  useEffect(() => {
    const stop = new AbortController();
    let stopWatching: (() => void) | undefined;
    events.value = undefined;
    problem.value = undefined;
    listEvents(runId, {}, { signal: stop.signal }).then(
      (told) => {
        events.value = mergeEvents([], told);
        stopWatching = watchRun(runId, {
          since: events.value[0]?.sequence ?? 0,
          onEvent: (event) => (events.value = mergeEvents(events.value ?? [], [event])),
          onState: (state) => (live.value = state),
          onError: (error) => (problem.value = error),
        });
      },
      (thrown: unknown) => {
        if (!stop.signal.aborted) problem.value = ApiError.from(thrown);
      },
    );
    return () => {
      stop.abort();
      stopWatching?.();
    };
  }, [runId, attempt.value]);
  if (problem.value) return <ErrorState error={problem.value} onRetry={() => (attempt.value += 1)} />;
  if (!events.value) return <Spinner label="Loading the events" />;
  if (events.value.length === 0) return <EmptyState title="Nothing has happened yet" />;
  const hidden = hiddenKinds.value;
  const shown = events.value.filter(({ kind }) => !hidden.includes(kind));
  const most = pages.value * PAGE;
  return (
    <div class="stack">
      <fieldset>
        <legend class="field-label">Kinds of events</legend>
        <div class="row events-kinds">
          {countKinds(events.value).map(([kind, count]) => (
            <Checkbox
              key={kind}
              label={
                <>
                  {kind} <span class="muted small">{formatCount(count)}</span>
                </>
              }
              checked={!hidden.includes(kind)}
              onChange={(checked) => (hiddenKinds.value = checked ? hidden.filter((one) => one !== kind) : [...hidden, kind])}
            />
          ))}
        </div>
      </fieldset>
      {live.value === 'reconnecting' && (
        <p class="notice" role="status">
          The connection is lost; the page reconnects. What happened meanwhile will be told.
        </p>
      )}
      {shown.length === 0 && <p class="muted">No event is of a chosen kind.</p>}
      <ol class="events" hidden={shown.length === 0} aria-label="Events, newest first">
        {shown.slice(0, most).map((event) => (
          <EventLine key={event.sequence} event={event} />
        ))}
      </ol>
      {shown.length > most && (
        <Button onClick={() => (pages.value += 1)}>
          Show older events ({formatCount(shown.length - most)})
        </Button>
      )}
    </div>
  );
}

function EventLine({ event }: { readonly event: RunEvent }): VNode {
  const now = useClock();
  return (
    <li class="event">
      <Badge tone={toneOf(event.kind)}>{event.kind}</Badge>
      <div class="event-text">
        <p>{event.message}</p>
        {event.error && (
          <p class="event-error">
            {problemOf(event.error)}. {event.error.remedy} <code>{event.error.code}</code>
          </p>
        )}
      </div>
      <span class="event-place muted small">update {formatCount(event.update)}</span>
      <time class="event-time muted small" dateTime={event.at}>
        {formatTime(event.at)} <span class="event-ago">({formatAgo(event.at, now.value)})</span>
      </time>
    </li>
  );
}
