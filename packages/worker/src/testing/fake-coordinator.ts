import { Dd2Error } from '@dd2/core';
import { createServer, receiveBytes, sendBulk, WorkerService, type BulkHeader, type ControlRequest, type ControlResponseSchema, type Handlers, type MessageInitShape } from '@dd2/proto';

type Control = Parameters<Handlers<typeof WorkerService>['control']>[0];
type Heard = Extract<ControlRequest['message'], { value: object }>;
type Values = { [M in Heard as M['case']]: M['value'] };
/** A message of the coordinator. */
export type Sent = NonNullable<MessageInitShape<typeof ControlResponseSchema>['message']>;

/** A coordinator that a test plays, on loopback. */
export class FakeCoordinator {
  readonly heard: ControlRequest['message'][] = [];
  readonly gradients: Uint8Array[] = [];
  /** large results, as they came */
  readonly results: { readonly header: BulkHeader; readonly data: Uint8Array }[] = [];
  /** whether the leases of the results are current */
  wanted = true;
  /** encoded tensors, by id */
  readonly contents = new Map<string, readonly Uint8Array[]>();
  /** gradients are answered when this resolves */
  taking: Promise<void> = Promise.resolve();
  /** what the next gradients are answered with */
  refusal: Dd2Error | undefined;
  address = '';
  readonly #server = createServer();
  #stream: Control | undefined;
  #over: (error?: Dd2Error) => void = () => undefined;
  #wake: (() => void)[] = [];

  async listen(): Promise<void> {
    const gone = async (): Promise<never> => {
      throw new Dd2Error('STALE_LEASE', 'it is gone');
    };
    this.#server.add(WorkerService, {
      control: (stream) => this.#control(stream),
      getProgram: gone,
      getAsset: async ({ assetId }, stream) => {
        const parts = this.contents.get(assetId) ?? (await gone());
        await sendBulk(stream, { name: assetId, totalBytes: parts.reduce((total, part) => total + part.byteLength, 0) }, parts);
      },
      getParameters: gone,
      pushGradient: async (stream) => {
        this.gradients.push((await receiveBytes(stream, { maxBytes: 1_000 })).data);
        await this.taking;
        if (this.refusal) throw this.refusal;
        return { accepted: true, reason: '' };
      },
      pushResult: async (stream) => {
        const { header, data } = await receiveBytes(stream, { maxBytes: 1_000_000 });
        this.results.push({ header, data });
        return { accepted: this.wanted };
      },
    });
    this.address = `127.0.0.1:${await this.#server.listen('127.0.0.1:0')}`;
  }

  send(message: Sent): void {
    this.#stream?.write({ message });
  }

  /** Ends the session without a word, or with an error. */
  hangUp(error?: Dd2Error): void {
    this.#over(error);
  }

  async until<C extends Heard['case']>(kind: C): Promise<Values[C]> {
    for (;;) {
      const message = this.heard.find((heard) => heard.case === kind);
      if (message) return message.value as Values[C];
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #control(stream: Control): Promise<void> {
    this.#stream = stream;
    const over = new Promise<void>((resolve, reject) => {
      this.#over = (error) => (error ? reject(error) : resolve());
    });
    await Promise.race([over, this.#read(stream)]);
  }

  async #read(stream: Control): Promise<void> {
    for await (const { message } of stream) {
      this.heard.push(message);
      for (const wake of this.#wake.splice(0)) wake();
    }
  }
}
