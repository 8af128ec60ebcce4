import { Dd2Error } from '@dd2/core';
import { createServer, receiveBytes, WorkerService, type ControlRequest, type ControlResponseSchema, type Handlers, type MessageInitShape } from '@dd2/proto';

type Control = Parameters<Handlers<typeof WorkerService>['control']>[0];
type Heard = Extract<ControlRequest['message'], { value: object }>;
type Values = { [M in Heard as M['case']]: M['value'] };
/** A message of the coordinator. */
export type Sent = NonNullable<MessageInitShape<typeof ControlResponseSchema>['message']>;

/** A coordinator that a test plays, on loopback. */
export class FakeCoordinator {
  readonly heard: ControlRequest['message'][] = [];
  readonly gradients: Uint8Array[] = [];
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
      getAsset: gone,
      getParameters: gone,
      pushGradient: async (stream) => {
        this.gradients.push((await receiveBytes(stream, { maxBytes: 1_000 })).data);
        if (this.refusal) throw this.refusal;
        return { accepted: true, reason: '' };
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
