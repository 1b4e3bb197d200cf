// Histories as protobuf JSON, the form that `temporal workflow show --output json` prints. The SDK's own conversion (historyToJSON) works only
// where npm shares one copy of protobufjs between two of its packages, so this one takes the copy that the message types were made with.
import { createRequire } from 'node:module';
import type { WorkflowHandle } from '@temporalio/client';

export interface HistoryEvent {
  readonly eventId: string;
  readonly eventType: string;
  readonly [attributes: string]: unknown;
}

export interface History {
  readonly events: readonly HistoryEvent[];
}

export type WireHistory = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

interface ProtoJson {
  readonly toJson: (type: object, message: object) => unknown;
  readonly fromJson: (type: object, json: unknown, options: { ignoreUnknownFields: boolean }) => unknown;
}

const ofCommon = createRequire(createRequire(import.meta.url).resolve('@temporalio/common'));
const ofProto = createRequire(ofCommon.resolve('@temporalio/proto'));
const { toJson, fromJson } = ofProto('protobufjs/ext/protojson') as ProtoJson;
const root = ofCommon('@temporalio/proto') as { lookupType(name: string): object };
const historyType = root.lookupType('temporal.api.history.v1.History');

export function encodeHistory(history: WireHistory): History {
  return toJson(historyType, history) as History;
}

/** A newer server may say more than our copy of the messages knows. */
export function decodeHistory(history: History): WireHistory {
  return fromJson(historyType, history, { ignoreUnknownFields: true }) as WireHistory;
}

export function workflowTypeOf({ events: [started] }: History): string {
  const attributes = started?.['workflowExecutionStartedEventAttributes'] as { workflowType: { name: string } };
  return attributes.workflowType.name;
}
