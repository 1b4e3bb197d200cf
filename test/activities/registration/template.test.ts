import { describe, expect, it } from 'vitest';
import { podData, samplePodData } from '../../../activities/registration/custom-resources/template-data.ts';
import { parseTemplate } from '../../../activities/registration/template/template.ts';

const names = { trustDomain: 'example.org', clusterName: 'demo', clusterDomain: 'cluster.local' };
const pod = {
  metadata: {
    name: 'api-0',
    namespace: 'shop',
    uid: 'u-1',
    labels: { app: 'api', 'app.kubernetes.io/name': 'shop-api' },
    annotations: { team: 'payments' },
    ownerReferences: [{ kind: 'StatefulSet', name: 'api' }],
  },
  spec: {
    nodeName: 'node-a',
    serviceAccountName: 'api',
    dnsPolicy: 'ClusterFirst',
    containers: [{ name: 'main', image: 'example.org/api:1' }, { name: 'proxy' }],
  },
};
const node = {
  metadata: { name: 'node-a', uid: 'n-1', labels: { 'topology.kubernetes.io/zone': 'a' } },
  spec: { providerID: 'aws:///a/i-1', podCIDRs: ['10.0.0.0/24'] },
};
const data = podData(names, pod, node);
const render = (text: string, check?: (value: string) => void) =>
  parseTemplate(text, samplePodData).render(data, check);

describe('a template', () => {
  it.for([
    [
      'spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}',
      'spiffe://example.org/ns/shop/sa/api',
    ],
    ['{{.ClusterName}}.{{.ClusterDomain}}', 'demo.cluster.local'],
    ['{{ .PodMeta.UID }} {{ .NodeMeta.UID }} {{ .NodeSpec.ProviderID }}', 'u-1 n-1 aws:///a/i-1'],
    ['{{ .PodSpec.DNSPolicy }}', 'ClusterFirst'],
    ['{{ index .PodMeta.Labels "app.kubernetes.io/name" }}', 'shop-api'],
    ['{{ .PodMeta.Labels.app }}', 'api'],
    ['{{ index .PodMeta.Labels `app` }}', 'api'],
    ['[{{ index .PodMeta.Labels "not there" }}]', '[]'],
    ['{{ (index .PodSpec.Containers 0).Image }}', 'example.org/api:1'],
    ['{{ (index .PodMeta.OwnerReferences 0).Name }}', 'api'],
    ['{{ len .PodSpec.Containers }} {{ len "äb" }}', '2 3'],
    ['{{ .PodMeta.Labels.app | printf "%s-%q" "x" }}', 'x-"api"'],
    ['{{ printf "%d%%" 7 }}', '7%'],
    ['{{ print "a" 1 true }}', 'a 1 true'],
    ['{{ slice .PodMeta.Name 0 3 }}{{ slice "abc" 1 }}', 'apibc'],
    ['{{ if .PodMeta.Labels.missing }}yes{{ else if eq .PodMeta.Name "api-0" }}name{{ else }}no{{ end }}', 'name'],
    ['{{ if and .PodMeta.Labels.app (not .PodSpec.HostNetwork) }}in{{ end }}', 'in'],
    ['{{ or .PodMeta.Annotations.nobody .PodMeta.Annotations.team }}', 'payments'],
    ['{{ if eq .PodMeta.Name "a" "api-0" }}one of them{{ end }}', 'one of them'],
    ['{{ if and (ne 1 2) (lt 1 2) (ge "b" "a") }}ordered{{ end }}', 'ordered'],
    ['{{ with .PodMeta.Labels.app }}<{{ . }} of {{ $.PodMeta.Namespace }}>{{ end }}', '<api of shop>'],
    ['{{ with .PodMeta.Labels.missing }}there{{ else }}not{{ end }}', 'not'],
    ['{{ range $i, $c := .PodSpec.Containers }}{{ $i }}={{ $c.Name }};{{ end }}', '0=main;1=proxy;'],
    ['{{ range $k, $v := .PodMeta.Labels }}{{ $k }}={{ $v }};{{ end }}', 'app=api;app.kubernetes.io/name=shop-api;'],
    ['{{ range .PodSpec.Volumes }}x{{ else }}none{{ end }}', 'none'],
    ['{{ $name := .PodMeta.Name }}{{ if true }}{{ $name = "other" }}{{ end }}{{ $name }}', 'other'],
    ['a {{- /* nothing */ -}} b', 'ab'],
    ['a {{- " b" }} c', 'a b c'],
    ['{{ "}}" }}', '}}'],
    ['{{ urlquery "a b/c" }}', 'a+b%2Fc'],
    ['{{ .NodeSpec.PodCIDRs }}', '[10.0.0.0/24]'],
    ['{{ .PodMeta.GenerateName }}', ''],
  ] as const)('%s is %s', ([text, want]) => {
    expect(render(text)).toBe(want);
  });

  it.for([
    ['{{ .TrustDoman }}', 'has no field TrustDoman'],
    ['{{ .PodMeta.Namespce }}', 'a ObjectMeta has no field Namespce'],
    ['{{ .PodSpec.serviceAccountName }}', 'a PodSpec has no field serviceAccountName'],
    ['{{ if .NodeMeta.Zone }}x{{ end }}', 'a ObjectMeta has no field Zone'],
    ['{{ lower .PodMeta.Name }}', 'function "lower" is not there'],
    ['{{ .PodMeta.Name | trimSuffix "-0" }}', 'function "trimSuffix" is not there'],
    ['{{ call .PodMeta.Name }}', 'function "call" is not there'],
    ['{{ template "x" }}', '{{template}} is not supported'],
    ['{{ define "x" }}{{ end }}', '{{define}} is not supported'],
    ['{{ range .PodSpec.Volumes }}{{ break }}{{ end }}', '{{break}} is not supported'],
    ['{{ .PodMeta.Name', 'has no end'],
    ['{{ if .PodMeta.Name }}x', '{{if}} has no {{end}}'],
    ['x{{ end }}', '{{end}} ends nothing'],
    ['{{ }}', 'an action says nothing'],
    ['{{ "a" "b" }}', 'only a function takes operands'],
    ['{{ (print "a" }}', 'a bracket is not closed'],
    ['{{ print "a" | }}', 'a command is missing'],
    ['{{ "a\\z" }}', 'is not understood'],
    ['{{ 0x1F }}', 'is not understood'],
    [`${'{{ if true }}'.repeat(30)}${'{{ end }}'.repeat(30)}`, 'nested deeper than 20'],
  ] as const)('%s is refused when it is read: %s', ([text, reason]) => {
    expect(() => parseTemplate(text, samplePodData)).toThrow(reason);
  });

  it.for([
    ['{{ .PodMeta.Labels.missing }}', '{{ .PodMeta.Labels.missing }}: there is no such value'],
    ['{{ .PodMeta }}', 'a ObjectMeta is no text'],
    ['{{ index .PodSpec.Containers 5 }}', 'index 5 is out of range'],
    ['{{ index .PodMeta.Name 0 }}', 'a string cannot be indexed'],
    ['{{ eq 1 "1" }}', 'a number cannot be compared with a string'],
    ['{{ lt .PodMeta.Labels 1 }}', 'a map has no order'],
    ['{{ printf "%x" 1 }}', 'format %x is not supported'],
    ['{{ printf "%s" }}', 'format %s has no operand'],
    ['{{ printf "a" "b" }}', 'takes 0 operands and not 1'],
    ['{{ slice .PodMeta.Name 9 }}', 'out of range'],
    ['{{ range .PodMeta.Name }}x{{ end }}', 'a string cannot be ranged over'],
    ['{{ $x }}', 'variable $x is not there'],
    ['{{ if true }}{{ $y := 1 }}{{ end }}{{ $y }}', 'variable $y is not there'],
    ['{{ (index .PodSpec.Containers 0).Nothing }}', 'there is no such value'],
  ] as const)('%s is refused for the pod that it does not fit: %s', ([text, reason]) => {
    expect(() => render(text)).toThrow(reason);
  });

  it('has each value judged before it is put in, and not the text between', () => {
    const judged: string[] = [];
    render('/a/{{ .PodMeta.Namespace }}/{{ .PodMeta.Name }}', (value) => judged.push(value));
    expect(judged).toEqual(['shop', 'api-0']);
  });

  it('takes no property of JavaScript for a label', () => {
    expect(() => render('{{ .PodMeta.Labels.constructor }}')).toThrow('there is no such value');
    expect(render('[{{ index .PodMeta.Labels "toString" }}]')).toBe('[]');
    expect(() => parseTemplate('{{ .constructor }}', samplePodData)).toThrow('has no field constructor');
  });
});
