export interface DelayProxy {
  readonly port: number;
  close(): Promise<void>;
}

export declare function startDelayProxy(port: number, delayMs: number): Promise<DelayProxy>;
