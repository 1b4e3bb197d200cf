{{- define "espalier.registrationConfig" -}}
trustDomain: {{ include "espalier.trustDomain" . }}
server: { socket: /run/spire/sockets/server.sock }
health: 0.0.0.0:8085
home: { cluster: {{ include "espalier.clusterName" . }}, namespace: {{ .Values.server.namespace }} }
clusters:
  - name: {{ include "espalier.clusterName" . }}
    mode: {{ .Values.registration.mode }}
    {{- if eq .Values.registration.mode "crds" }}
    className: espalier
    clusterDomain: cluster.local
    {{- else }}
    namespaces:
      {{- range .Values.registration.namespaces }}
      - name: {{ . }}
      {{- end }}
    {{- end }}
{{- end }}
