import { tellDone, tellError } from './toast.js';

/** Copies text to the clipboard and says so. Browsers allow it on secure pages only; elsewhere the old way is taken. */
export function copyText(text: string, what: string): void {
  copy(text).then(() => tellDone(`${what} is copied`), tellError);
}

async function copy(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'visually-hidden';
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand('copy');
  area.remove();
  if (!isCopied) throw new Error('the browser does not let the page copy');
}
