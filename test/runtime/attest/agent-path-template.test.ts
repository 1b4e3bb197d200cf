// agent_path_template: what it can say, and what it is never allowed to make.
import { describe, expect, it } from 'vitest';
import { agentIdOf, parseAgentPathTemplate } from '../../../runtime/attest/agent-path-template.ts';
import { trustDomain } from './server-context.ts';

const fields = ['PluginName', 'Zone', 'Tags'];
const values = {
  PluginName: 'x',
  Zone: 'us-1',
  Tags: { team: 'blue', 'a b': 'c', bad: '../../server', constructor: 'own' },
};
const make = (text: string): string => agentIdOf(parseAgentPathTemplate(text, fields), values, trustDomain).path;

describe('an agent path template', () => {
  it.each([
    ['/{{ .PluginName }}/{{.Zone}}', '/spire/agent/x/us-1'],
    ['{{ .PluginName }}/fixed', '/spire/agent/x/fixed'],
    ['/x/{{ .Tags.team }}-{{ index .Tags "a b" }}', '/spire/agent/x/blue-c'],
    ['/x/{{ .Tags.constructor }}', '/spire/agent/x/own'],
  ])('%s makes %s', (text, path) => {
    expect(make(text)).toBe(path);
  });

  it.each([
    ['/{{ .Zon }}', /field \.Zon is unknown/],
    ['/{{ .Zone | upper }}', /not supported/],
    ['/{{ if .Zone }}a{{ end }}', /not supported/],
    ['/{{ .Zone', /without its end/],
    ['/a }}', /without its end/],
  ])('refuses %s when it is read', (text, message) => {
    expect(() => parseAgentPathTemplate(text, fields)).toThrow(message);
  });

  it.each([
    ['/x/{{ .Tags.bad }}', /not a SPIFFE ID path/],
    ['/x//y', /not a SPIFFE ID path/],
    ['/x/', /not a SPIFFE ID path/],
    ['/x/%2e%2e', /not a SPIFFE ID path/],
    ['/x/{{ .Tags.missing }}', /needs \.Tags\.missing/],
    ['/x/{{ .Tags.toString }}', /needs \.Tags\.toString/],
    ['/x/{{ .Tags }}', /needs \.Tags/],
    ['/x/{{ .Zone.a }}', /needs \.Zone\.a/],
  ])('refuses %s when it is used', (text, message) => {
    expect(() => make(text)).toThrow(message);
  });
});
