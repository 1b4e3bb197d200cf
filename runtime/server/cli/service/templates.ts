// `service set`, `service delete`, `service show`: which services may give identities to what they run for customers and tenants. Ours.
import { ServiceIdentitiesService } from '../../../../proto/gen/espalier/service/v1/service.ts';
import type { Template } from '../../../../proto/gen/espalier/service/v1/service.ts';
import { createClient } from '../../../rpc/client.ts';
import { checkInt32 } from '../int32.ts';
import { plural, serverCommand } from '../server-command.ts';
import { formatId, parseSelectorFlag } from '../wire-id.ts';

const entryID = { kind: 'string', default: '', help: 'The Entry ID of the service itself' } as const;
const pageSize = 500;

export const serviceSet = serverCommand({
  name: 'service set',
  synopsis: 'Lets a service give identities to processes that it runs for customers and tenants',
  flags: {
    entryID,
    kind: { kind: 'list', help: 'customer or tenant. Can be used more than once' },
    selector: {
      kind: 'list',
      help: 'A colon-delimited type:value selector that every such process must have. Can be used more than once',
    },
    distinguishedBy: {
      kind: 'string',
      default: 'unix:uid',
      help: 'What tells such processes apart: unix:uid, unix:user or systemd:id',
    },
    x509SVIDTTL: {
      kind: 'number',
      default: 0,
      help: "The lifetime, in seconds, of their x509-SVIDs, never longer than the service's own",
    },
    jwtSVIDTTL: {
      kind: 'number',
      default: 0,
      help: "The lifetime, in seconds, of their JWT-SVIDs, never longer than the service's own",
    },
    lease: { kind: 'number', default: 0, help: 'For how many seconds an identity is given (3600 if not set)' },
    mostIdentities: { kind: 'number', default: 0, help: 'How many there may be on one node (256 if not set)' },
  },
  async run({ flags, channel, terminal, print }) {
    const template: Template = {
      entryId: flags.entryID,
      spiffeId: undefined,
      kinds: [...flags.kind],
      selectors: flags.selector.map(parseSelectorFlag),
      distinguishedBy: flags.distinguishedBy,
      x509SvidTtl: checkInt32('X509 SVID TTL', flags.x509SVIDTTL),
      jwtSvidTtl: checkInt32('JWT SVID TTL', flags.jwtSVIDTTL),
      leaseSeconds: checkInt32('lease', flags.lease),
      mostIdentities: checkInt32('number of identities', flags.mostIdentities),
    };
    const response = await createClient(ServiceIdentitiesService, channel).setTemplate({ template });
    print(response, () => {
      if (response.template !== undefined) terminal.out(formatTemplate(response.template));
    });
  },
});

export const serviceDelete = serverCommand({
  name: 'service delete',
  synopsis: 'Takes that right from a service, and every identity that it gave',
  flags: { entryID },
  async run({ flags, channel, terminal, print }) {
    const response = await createClient(ServiceIdentitiesService, channel).deleteTemplate({ entryId: flags.entryID });
    print(response, () => {
      terminal.out(`Template deleted, ${plural(response.withdrawn, 'identity', 'identities')} withdrawn.\n`);
    });
  },
});

export const serviceShow = serverCommand({
  name: 'service show',
  synopsis: 'Displays the services that may give identities',
  flags: {},
  async run({ channel, terminal, print }) {
    const client = createClient(ServiceIdentitiesService, channel);
    const templates: Template[] = [];
    let pageToken = '';
    do {
      const page = await client.listTemplates({ pageSize, pageToken });
      templates.push(...page.templates);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    print({ templates, nextPageToken: '' }, () => {
      terminal.out(`Found ${plural(templates.length, 'template', 'templates')}\n\n`);
      for (const template of templates) terminal.out(formatTemplate(template));
    });
  },
});

function formatTemplate(template: Template): string {
  const rows: [string, string][] = [
    ['Entry ID', template.entryId],
    ['SPIFFE ID', formatId(template.spiffeId)],
    ['Kinds', template.kinds.join(', ')],
    ...template.selectors.map(({ type, value }): [string, string] => ['Selector', `${type}:${value}`]),
    ['Distinguished by', template.distinguishedBy],
    ['X509-SVID TTL', formatTtl(template.x509SvidTtl)],
    ['JWT-SVID TTL', formatTtl(template.jwtSvidTtl)],
    ['Lease', String(template.leaseSeconds)],
    ['On one node', String(template.mostIdentities)],
  ];
  return `${rows.map(([name, value]) => `${name.padEnd(17)}: ${value}\n`).join('')}\n`;
}

function formatTtl(seconds: number): string {
  return seconds === 0 ? 'of the service' : String(seconds);
}
