import { computed, effect, signal, type ReadonlySignal } from '@preact/signals';

export const themeChoices = ['system', 'light', 'dark'] as const;
export type ThemeChoice = (typeof themeChoices)[number];

const KEY = 'dd2.theme';

/** What the reader chose; kept in this browser, not in the URL: a link shows everyone their own theme. */
export const themeChoice = signal<ThemeChoice>(stored());
const systemIsDark = signal(false);

/** The theme that is shown. Charts draw anew when it changes. */
export const theme: ReadonlySignal<'light' | 'dark'> = computed(() => (themeChoice.value === 'system' ? (systemIsDark.value ? 'dark' : 'light') : themeChoice.value));

/** Keeps `data-theme` of the document at what is chosen. */
export function startTheme(): void {
  const query = window.matchMedia('(prefers-color-scheme: dark)');
  systemIsDark.value = query.matches;
  query.addEventListener('change', () => (systemIsDark.value = query.matches));
  effect(() => {
    document.documentElement.dataset['theme'] = theme.value;
  });
  effect(() => {
    try {
      if (themeChoice.value === 'system') localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, themeChoice.value);
    } catch {
      // storage may be forbidden: then the choice holds for this page
    }
  });
}

function stored(): ThemeChoice {
  try {
    const text = typeof localStorage === 'undefined' ? null : localStorage.getItem(KEY);
    return themeChoices.find((one) => one === text) ?? 'system';
  } catch {
    return 'system';
  }
}
