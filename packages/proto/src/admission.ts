import { ServerInterceptingCall, type Metadata, type ServerInterceptor } from '@grpc/grpc-js';
import { Dd2Error } from '@dd2/core';
import type { Connections } from './connections.js';
import { toStatus } from './status.js';

/** A call as it arrives, before anything of its requests is read. */
export interface IncomingCall {
  /** name of the method, without its service */
  readonly method: string;
  readonly metadata: Metadata;
  /** address and port of the other side */
  readonly peer: string;
}

/** Decides about a call: what it throws is the call's answer. It may return what is to be called when the call ends. */
export type Admit = (call: IncomingCall) => (() => void) | undefined;

/** Asks the `Admit` of each call's service. @param services by type name; a service without one admits all calls */
export function admission(services: ReadonlyMap<string, Admit | undefined>, connections: Connections): ServerInterceptor {
  return ({ path }, call) => {
    const [, service = '', method = ''] = path.split('/');
    let ended: (() => void) | undefined;
    return new ServerInterceptingCall(call, {
      start: (proceed) =>
        proceed({
          onReceiveMetadata: (metadata, forward) => {
            const peer = call.getPeer();
            try {
              ended = services.get(service)?.({ method, metadata, peer });
            } catch (thrown) {
              const error = Dd2Error.from(thrown);
              call.sendStatus(toStatus(error));
              if (error.code === 'UNAUTHENTICATED') connections.refused(peer);
              return;
            }
            connections.proven(peer);
            forward(metadata);
          },
          onReceiveMessage: (message, forward) => forward(message),
          onReceiveHalfClose: (forward) => forward(),
          // However a call ends, this comes once.
          onCancel: () => ended?.(),
        }),
    });
  };
}
