/** Where a run or an event stands in the declared cycle. */
export interface CyclePlace {
  /** from 0 */
  readonly cyclePosition: number;
  /** 0 outside the phase distill */
  readonly cycleLength: number;
  readonly cycleGuidance: number;
  readonly network: string;
}

/** `guidance 2/3 of 3:1`; outside the phase distill the network alone. */
export function cycleInShort({ cyclePosition: position, cycleLength, cycleGuidance: guidance, network }: CyclePlace): string {
  if (cycleLength === 0) return network;
  const generator = cycleLength - guidance;
  const inside = position < guidance ? `guidance ${position + 1}/${guidance}` : `generator ${position - guidance + 1}/${generator}`;
  return `${inside} of ${guidance}:${generator}`;
}

/** `5 x guidance then 1 x generator, now 3 of 6 (guidance)`; empty outside the phase distill. */
export function cycleInFull({ cyclePosition: position, cycleLength, cycleGuidance: guidance }: CyclePlace): string {
  if (cycleLength === 0) return '';
  const parts = [guidance > 0 ? `${guidance} x guidance` : '', cycleLength > guidance ? `${cycleLength - guidance} x generator` : ''];
  return `${parts.filter((part) => part !== '').join(' then ')}, now ${position + 1} of ${cycleLength} (${position < guidance ? 'guidance' : 'generator'})`;
}
