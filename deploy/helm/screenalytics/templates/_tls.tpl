{{/* TLS of the API's own listeners: what serves it, and what those who call it inside of the cluster check. */}}

{{- define "screenalytics.apiScheme" -}}
{{- .Values.orchestrator.tls.existingSecret | empty | ternary "http" "https" -}}
{{- end -}}

{{/* A name in the certificate. */}}
{{- define "screenalytics.apiServerName" -}}
{{- default (printf "%s-orchestrator.%s.svc" (include "screenalytics.fullname" .) .Release.Namespace) .Values.orchestrator.tls.serverName -}}
{{- end -}}

{{- define "screenalytics.apiTlsEnv" -}}
{{- with .Values.orchestrator.tls }}
{{- if .existingSecret }}
{{- range $group := list "http" "grpc" }}
- name: {{ include "screenalytics.settingName" (list $group "tls_cert_file") }}
  value: /api-tls/tls.crt
- name: {{ include "screenalytics.settingName" (list $group "tls_key_file") }}
  value: /api-tls/tls.key
{{- end }}
{{- if .grpcClientCaConfigMap }}
- name: SCREENALYTICS_GRPC__TLS_CLIENT_CA_FILE
  value: /api-client-ca/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "screenalytics.apiTlsMount" -}}
{{- with .Values.orchestrator.tls }}
{{- if .existingSecret }}
- name: api-tls
  mountPath: /api-tls
  readOnly: true
{{- end }}
{{- if .grpcClientCaConfigMap }}
- name: api-client-ca
  mountPath: /api-client-ca
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "screenalytics.apiTlsVolume" -}}
{{- with .Values.orchestrator.tls }}
{{- if .existingSecret }}
- name: api-tls
  secret: {secretName: {{ .existingSecret }}, defaultMode: 0440}
{{- end }}
{{- if .grpcClientCaConfigMap }}
- name: api-client-ca
  configMap: {name: {{ .grpcClientCaConfigMap }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* What a PodMonitor checks of the orchestrator's certificate. */}}
{{- define "screenalytics.apiScrapeTls" -}}
tlsConfig:
  serverName: {{ include "screenalytics.apiServerName" . }}
  {{- with .Values.orchestrator.tls }}
  {{- if .caConfigMap }}
  ca:
    configMap: {name: {{ .caConfigMap }}, key: {{ .caKey }}}
  {{- end }}
  {{- end }}
{{- end -}}
