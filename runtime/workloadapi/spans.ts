// SPIFFE IDs on OpenTelemetry spans. A program that traces hands its span over; we depend on nothing of OpenTelemetry's, and a program that does not
// trace pays nothing.
import type { SpiffeId } from '../spiffe/spiffe-id.ts';

/** As much of OpenTelemetry's Span as is needed. */
export interface Span {
  setAttributes(attributes: Readonly<Record<string, string>>): unknown;
}

export const spanAttributes = { self: 'spiffe.id', peer: 'spiffe.peer.id' } as const;

/** Does nothing without a span. */
export function annotateSpan(span: Span | undefined, ids: { readonly self: SpiffeId; readonly peer: SpiffeId }): void {
  span?.setAttributes({
    [spanAttributes.self]: ids.self.toString(),
    [spanAttributes.peer]: ids.peer.toString(),
  });
}
