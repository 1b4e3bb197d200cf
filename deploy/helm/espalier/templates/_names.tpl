{{- define "espalier.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "espalier.trustDomain" -}}
{{ required "global.spire.trustDomain must be said" .Values.global.spire.trustDomain }}
{{- end }}

{{- define "espalier.clusterName" -}}
{{ required "global.spire.clusterName must be said" .Values.global.spire.clusterName }}
{{- end }}

{{/* Of every container. */}}
{{- define "espalier.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Of a pod that has a user of its own. */}}
{{- define "espalier.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Nothing in or out of a namespace but what another policy says; names are looked up. */}}
{{- define "espalier.defaultDeny" -}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: {{ .prefix }}default-deny, namespace: {{ .namespace }} }
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: {{ .prefix }}dns-resolution, namespace: {{ .namespace }} }
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
    - to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } } }]
      ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
{{- end }}
