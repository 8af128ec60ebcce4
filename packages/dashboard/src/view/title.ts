/** Sets the document's title: what is looked at first, the product last. */
export function setTitle(...parts: readonly (string | undefined)[]): void {
  document.title = [...parts.filter((part) => part !== undefined && part !== ''), 'dd2'].join(' · ');
}
