import { Component, type ComponentType, type VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ErrorState } from '../ui/error-state.js';
import { Spinner } from '../ui/spinner.js';

/** Path with `:name` parts, for example `/runs/:id`. */
export interface Route {
  readonly pattern: string;
  readonly view: (parts: Readonly<Record<string, string>>) => VNode;
}

/** The parts of a path that a pattern names; undefined when it is another path. */
export function matchPath(pattern: string, path: string): Readonly<Record<string, string>> | undefined {
  const wanted = pattern.split('/').filter((part) => part !== '');
  const given = path.split('/').filter((part) => part !== '');
  if (wanted.length !== given.length) return undefined;
  const parts: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== value) return undefined;
      continue;
    }
    try {
      parts[part.slice(1)] = decodeURIComponent(value);
    } catch {
      return undefined; // not a valid escape: no place of this page
    }
  }
  return parts;
}

/** A view whose code is loaded when it is first shown. */
export function lazyView<P extends object>(load: () => Promise<{ readonly default: ComponentType<P> }>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function LazyView(props: P) {
    const [, setLoaded] = useState<ComponentType<P> | undefined>(undefined);
    const [error, setError] = useState<Error>();
    useEffect(() => {
      if (loaded) return;
      load().then(
        (module) => {
          loaded = module.default;
          setLoaded(() => module.default);
        },
        (cause: unknown) => setError(cause instanceof Error ? cause : new Error(String(cause))),
      );
    }, []);
    // A newer page may have taken the place of the files that this one would load.
    if (error) return <ErrorState error={{ code: 'UNAVAILABLE', message: 'this part of the page could not be loaded', remedy: 'Reload the page' }} onRetry={() => window.location.reload()} />;
    const View = loaded;
    return View ? <View {...props} /> : <Spinner label="Loading the view" />;
  };
}

/** Shows what went wrong in a view instead of an empty page. Give it a `key`, so that the next place starts anew. */
export class ViewBoundary extends Component<{ readonly children: VNode }, { readonly error: Error | undefined }> {
  override state: { readonly error: Error | undefined } = { error: undefined };

  static override getDerivedStateFromError(error: Error): { readonly error: Error } {
    return { error };
  }

  override render(): VNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    console.error(error);
    return <ErrorState error={{ code: 'INTERNAL', message: `this view failed: ${error.message}`, remedy: 'Reload the page; the run is not affected' }} onRetry={() => this.setState({ error: undefined })} />;
  }
}
