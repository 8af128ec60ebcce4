interface Recent {
  readonly at: number;
  readonly answer: Promise<object>;
}

/** Further questions have their own answers: views differ in what they show, not in how many people look at each. */
const MAX_QUESTIONS = 256;

/** Answers that are good for a moment: people who look at the same page ask the same question, and get one answer. */
export class RecentAnswers {
  /** by question, the oldest first */
  readonly #recent = new Map<string, Recent>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** The answer to a question that was asked less than `forMs` ago, or is being answered; else that of `ask`. One that failed is not kept. */
  async get(question: string, forMs: number, ask: () => Promise<object>): Promise<object> {
    const now = this.now();
    const known = this.#recent.get(question);
    if (known && now - known.at < forMs) return known.answer;
    const recent: Recent = { at: now, answer: ask() };
    this.#recent.delete(question);
    this.#recent.set(question, recent);
    const [oldest] = this.#recent.keys();
    if (this.#recent.size > MAX_QUESTIONS && oldest !== undefined) this.#recent.delete(oldest);
    try {
      return await recent.answer;
    } catch (error) {
      if (this.#recent.get(question) === recent) this.#recent.delete(question);
      throw error;
    } finally {
      // Answers may be large: none is kept longer than it is good for.
      setTimeout(() => this.#recent.get(question) === recent && this.#recent.delete(question), forMs).unref();
    }
  }
}
