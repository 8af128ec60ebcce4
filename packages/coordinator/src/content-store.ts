import { sha256 } from '@dd2/proto';

/**
 * Immutable bytes (programs, assets) under the SHA-256 of their content, for workers to fetch. Each is kept for as long as
 * one of its owners is there; equal contents of two owners are kept once.
 */
export class ContentStore {
  readonly #contents = new Map<string, { readonly parts: readonly Uint8Array[]; readonly owners: Set<string> }>();

  /** Returns the content's id: its SHA-256, lower-case hexadecimal. */
  put(parts: readonly Uint8Array[], owner: string): string {
    const id = sha256(parts);
    const { owners } = this.#contents.get(id) ?? this.#add(id, parts);
    owners.add(owner);
    return id;
  }

  get(id: string): readonly Uint8Array[] | undefined {
    return this.#contents.get(id)?.parts;
  }

  /** Gives up what belongs to nobody else, and returns its ids: workers need not keep it either. */
  release(owner: string): string[] {
    const released: string[] = [];
    for (const [id, { owners }] of this.#contents) {
      owners.delete(owner);
      if (owners.size > 0) continue;
      this.#contents.delete(id);
      released.push(id);
    }
    return released;
  }

  #add(id: string, parts: readonly Uint8Array[]): { readonly owners: Set<string> } {
    const content = { parts, owners: new Set<string>() };
    this.#contents.set(id, content);
    return content;
  }
}
