// Where requests to AWS's services arrive: signature first, then the service that the signature names, then its protocol's answer.
import { randomUUID } from 'node:crypto';
import type { LabContext } from '../context.ts';
import type { LabRequest, LabResponse } from '../http.ts';
import { header } from '../http.ts';
import { ec2 } from './ec2.ts';
import { AwsError } from './errors.ts';
import { iam } from './iam.ts';
import { authenticate } from './principals.ts';
import type { Principal } from './principals.ts';
import { encodeXml, parseParameters } from './query.ts';
import type { Parameters, XmlValue } from './query.ts';
import { secretsManager } from './secrets-manager.ts';
import { readSignature } from './signature.ts';
import { regions } from './state.ts';
import { assumeRoleWithWebIdentity, sts } from './sts.ts';
import { systemsManager } from './systems-manager.ts';

export interface AwsCall {
  readonly context: LabContext;
  readonly principal: Principal;
  readonly region: string;
}

export type QueryAction = (call: AwsCall, parameters: Parameters) => XmlValue | Promise<XmlValue>;
export type QueryService = Readonly<Record<string, QueryAction>>;
export type JsonAction = (call: AwsCall, input: Readonly<Record<string, unknown>>) => unknown;

const jsonServices: Readonly<Record<string, Readonly<Record<string, JsonAction>>>> = {
  secretsmanager: secretsManager,
  ssm: systemsManager,
};
const queryServices: Readonly<Record<string, QueryService>> = { ec2, iam, sts };

export async function answerAws(context: LabContext, request: LabRequest): Promise<LabResponse> {
  const target = header(request, 'x-amz-target');
  return target === undefined ? answerQuery(context, request) : answerJson(context, request, target);
}

/** Does this request speak one of AWS's protocols? */
export function isAws(request: LabRequest): boolean {
  const signed = (header(request, 'authorization') ?? '').startsWith('AWS4-');
  return request.path === '/' && (signed || request.body.toString('latin1').includes('Action='));
}

async function answerQuery(context: LabContext, request: LabRequest): Promise<LabResponse> {
  const requestId = randomUUID();
  let service = 'sts';
  try {
    const parameters = parseParameters(request.body.toString('utf8'));
    const action = parameters.required('Action');
    // The one action that nobody signs: the token is the proof.
    if (action === 'AssumeRoleWithWebIdentity')
      return success(service, action, requestId, assumeRoleWithWebIdentity(context, parameters));
    const signed = readSignature(request, context.clock());
    service = signed.service;
    const call = callOf(context, signed);
    const perform = queryServices[service]?.[action];
    if (perform === undefined) throw new AwsError('InvalidAction', `the lab has no action ${action} of ${service}`);
    return success(service, action, requestId, await perform(call, parameters));
  } catch (cause) {
    if (!(cause instanceof AwsError)) throw cause;
    return failure(service, requestId, cause);
  }
}

function callOf(context: LabContext, signed: ReturnType<typeof readSignature>): AwsCall {
  const principal = authenticate(context, signed);
  const known: readonly string[] = regions;
  if (!known.includes(signed.region)) throw new AwsError('InvalidRegion', `the lab has no region ${signed.region}`);
  return { context, principal, region: signed.region };
}

function success(service: string, action: string, requestId: string, result: XmlValue): LabResponse {
  const body =
    service === 'ec2'
      ? `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>${requestId}</requestId>${encodeXml(result, 'item')}</${action}Response>`
      : `<${action}Response><${action}Result>${encodeXml(result, 'member')}</${action}Result><ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${action}Response>`;
  return { status: 200, headers: { 'content-type': 'text/xml;charset=UTF-8', 'x-amzn-requestid': requestId }, body };
}

function failure(service: string, requestId: string, { code, message, status }: AwsError): LabResponse {
  const error = encodeXml({ Code: code, Message: message }, 'item');
  const body =
    service === 'ec2'
      ? `<Response><Errors><Error>${error}</Error></Errors><RequestID>${requestId}</RequestID></Response>`
      : `<ErrorResponse><Error><Type>Sender</Type>${error}</Error><RequestId>${requestId}</RequestId></ErrorResponse>`;
  return { status, headers: { 'content-type': 'text/xml;charset=UTF-8', 'x-amzn-requestid': requestId }, body };
}

async function answerJson(context: LabContext, request: LabRequest, target: string): Promise<LabResponse> {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() };
  try {
    const signed = readSignature(request, context.clock());
    const call = callOf(context, signed);
    const perform = jsonServices[signed.service]?.[target.slice(target.indexOf('.') + 1)];
    if (perform === undefined) throw new AwsError('UnknownOperationException', `the lab has no operation ${target}`);
    const input = JSON.parse(request.body.toString('utf8')) as Record<string, unknown>;
    return { status: 200, headers, body: JSON.stringify(perform(call, input)) };
  } catch (cause) {
    if (!(cause instanceof AwsError)) throw cause;
    return { status: cause.status, headers, body: JSON.stringify({ __type: cause.code, message: cause.message }) };
  }
}
